// The AudioContexts that the engines share. They are made and resumed in the event of a click, because browsers want that.

const contexts = new Map(); // by their sample rate; undefined is that of the loudspeaker

/** The context of a sample rate. At another rate than that of a file, samples would lie between those of the file. */
export function contextOf(rate) {
  if (!contexts.has(rate)) contexts.set(rate, new AudioContext({ sampleRate: rate }));
  return contexts.get(rate);
}

/** Call this at once in the event of a click, before anything is loaded. */
export function wake(rate) {
  try {
    contextOf(rate).resume();
  } catch {
    // The browser has no Web Audio: the engine fails when it loads.
  }
}
