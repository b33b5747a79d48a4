// The AudioContexts that the engines share.

const contexts = new Map(); // by their sample rate; undefined is that of the loudspeaker

/** The context of a sample rate. At another rate than that of a file, samples would lie between those of the file. */
export function contextOf(rate) {
  if (!contexts.has(rate)) contexts.set(rate, new AudioContext({ sampleRate: rate }));
  return contexts.get(rate);
}

/** Resume a context. Browsers want this at once in the event of a click, before anything is loaded. */
export function wake(rate) {
  try {
    contextOf(rate).resume();
  } catch {
    // The browser has no Web Audio: the engine fails when it loads.
  }
}
