// Repeats a loop by Web Audio: the last sample of its part is followed by the first one. An audio element leaves a gap.

const MOST_SECONDS = 300; // of a file: as samples, five minutes of stereo take 115 MB
const PATIENCE = 500; // milliseconds; where the browser forbids sounds, it gives no answer

/** True if a sound has a part that repeats, and if it is short enough to have all its samples in memory. */
export function canRepeat(sound) {
  return Boolean(sound.repeat) && sound.seconds <= MOST_SECONDS;
}

/** A source that plays a buffer and repeats its part from start to end, in seconds. */
export function repeatingSource(context, buffer, [start, end]) {
  return new AudioBufferSourceNode(context, { buffer, loop: true, loopStart: start, loopEnd: end });
}

/** An engine, as in element.js, for sounds with a part that repeats. */
export class RepeatEngine extends EventTarget {
  paused = true;
  #end = new AbortController();
  #loaded; // a promise of the samples
  #context = null;
  #gain = null;
  #volume = 1;
  #buffer = null;
  #source = null; // while it plays
  #sound;
  #at = 0; // the time in the sound at #since of the context
  #since = 0;

  get time() {
    if (!this.#source) return this.#at;
    const time = this.#at + Math.max(0, this.#context.currentTime - this.#since);
    const [start, end] = this.#sound.repeat;
    return time < end ? time : start + ((time - start) % (end - start));
  }

  get duration() {
    return this.#buffer?.duration ?? this.#sound.seconds;
  }

  set volume(volume) {
    this.#volume = volume;
    if (this.#gain) this.#gain.gain.value = volume;
  }

  load(sound, at = 0) {
    [this.#sound, this.#at] = [sound, at];
    this.#loaded = this.#read();
    this.#loaded.catch((problem) => this.#end.signal.aborted || this.#tell("error", problem));
    return this.#loaded;
  }

  async play() {
    this.paused = false;
    if (!this.#buffer) this.#tell("state", "loading");
    await this.#loaded;
    const isForbidden = await Promise.race([this.#context.resume(), new Promise((done) => setTimeout(done, PATIENCE, true))]);
    if (isForbidden) return this.pause();
    if (!this.paused && !this.#source) this.#start();
  }

  pause() {
    this.paused = true;
    this.#stop();
    this.#tell("state", "paused");
  }

  seek(seconds) {
    const isPlaying = this.#source !== null;
    this.#stop();
    this.#at = Math.min(seconds, this.#sound.repeat[1] - 0.001); // beyond the part, nothing would repeat
    if (isPlaying) this.#start();
    this.#tell("time");
  }

  close() {
    this.#end.abort();
    this.#stop();
    this.#context?.close();
  }

  async #read() {
    const answer = await fetch(this.#sound.src, { signal: this.#end.signal });
    if (!answer.ok) throw new Error(answer.statusText);
    const bytes = await answer.arrayBuffer();
    this.#end.signal.throwIfAborted();
    this.#context = new AudioContext({ sampleRate: this.#sound.repeat[2] }) // at another rate, samples would lie between those of the file;
    this.#gain = new GainNode(this.#context, { gain: this.#volume });
    this.#gain.connect(this.#context.destination);
    this.#buffer = await this.#context.decodeAudioData(bytes);
    this.#tell("time");
  }

  #start() {
    this.#source = repeatingSource(this.#context, this.#buffer, this.#sound.repeat);
    this.#source.connect(this.#gain);
    this.#since = this.#context.currentTime;
    this.#source.start(0, this.#at);
    this.#tell("state", "playing");
  }

  #stop() {
    this.#at = this.time;
    this.#source?.stop();
    this.#source = null;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
