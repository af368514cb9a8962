/** The guest's serial console: every byte to a log file, every line to subscribers, from the first byte on. */
import type { Duplex, Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { boundedWait, type WaitBounds } from '../../util/bounded-wait.ts';

/** The most that is kept of a console in memory (between this and twice as much), and in its log. */
const KEPT_LINES = 20_000;
const KEPT_CHARACTERS = 4 * 2 ** 20;
const LONGEST_LINE = 64 * 1024;
const LARGEST_LOG = 256 * 2 ** 20;

/** Bytes that wait for one who watches and does not read. */
const MOST_WAITING = 2 ** 20;

/** Lines that who comes later gets to see. */
const SCREEN = 100;

/**
 * Of the guest's init, through the kernel's log: its SSH server listens, and this is its key (ed25519: 51 bytes, in
 * base64).
 */
const READY = /RIG-READY ([A-Za-z0-9+/]{68})\s*$/;

export class SerialConsole {
  readonly #decoder = new StringDecoder('utf8');
  readonly #listeners = new Set<(line: string) => void>();
  readonly #copies = new Set<(chunk: Buffer) => void>();
  #lines: string[] = [];
  #kept = 0;
  readonly #log: Writable;
  readonly #port: Duplex;
  #partial = '';
  #logged = 0;
  #lastByteAt = performance.now();

  constructor(port: Duplex, log: Writable) {
    this.#log = log;
    this.#port = port;
    port.on('data', (chunk: Buffer) => {
      this.#write(chunk);
      this.#feed(chunk);
      for (const copy of this.#copies) copy(chunk);
    });
    port.on('error', () => undefined); // QEMU's exit is what counts.
  }

  /** Sends it to the guest. */
  type(text: string | Buffer): void {
    this.#port.write(text);
  }

  /** Types to the guest, as fast as it takes it, until the returned function is called. */
  typeFrom(source: Readable): () => void {
    source.pipe(this.#port, { end: false });
    return () => source.unpipe(this.#port);
  }

  /**
   * Passes on every byte from now on, until the returned function is called. A reader that is too slow gets a remark
   * that says how many it has missed.
   */
  copyTo(reader: Writable): () => void {
    let missed = 0;
    const tell = (): void => {
      reader.write(`\r\n[dgpu-rig: ${missed} bytes are not shown: they came faster than they were read]\r\n`);
      missed = 0;
    };
    const copy = (chunk: Buffer): void => {
      if (missed === 0 && reader.writableLength < MOST_WAITING) {
        reader.write(chunk);
        return;
      }
      if (missed === 0) reader.once('drain', tell);
      missed += chunk.length;
    };
    this.#copies.add(copy);
    return () => void this.#copies.delete(copy);
  }

  /** What a terminal would show now that had been there from the beginning. */
  recentText(): string {
    return [...this.tail(SCREEN), this.#partial].join('\r\n');
  }

  /** Calls `listener` for every complete line from now on. */
  follow(listener: (line: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Calls `listener` for every complete line since the start, those already seen (of a flood: the last of them)
   * included.
   */
  subscribe(listener: (line: string) => void): () => void {
    for (const line of this.#lines) listener(line);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The first line, past or future, that `pattern` matches. */
  async waitFor(pattern: RegExp, bounds: WaitBounds): Promise<RegExpExecArray> {
    let stop: () => void = () => undefined;
    const found = new Promise<RegExpExecArray>((resolve) => {
      stop = this.subscribe((line) => {
        const match = pattern.exec(line);
        if (match) resolve(match);
      });
    });
    try {
      return await boundedWait(`The console line ${String(pattern)}`, found, bounds);
    } finally {
      stop();
    }
  }

  /** The guest's host key, as soon as its SSH server listens. */
  async hostKey(bounds: WaitBounds): Promise<string> {
    const [, key = ''] = await this.waitFor(READY, bounds);
    return key;
  }

  /** The last complete lines, for messages to people. */
  tail(count: number): string[] {
    return this.#lines.slice(-count);
  }

  get silentForMs(): number {
    return performance.now() - this.#lastByteAt;
  }

  #write(chunk: Buffer): void {
    if (this.#logged > LARGEST_LOG) return;
    this.#logged += chunk.length;
    this.#log.write(chunk);
    if (this.#logged > LARGEST_LOG)
      this.#log.write('\n[dgpu-rig: the guest floods its console; the rest is not logged]\n');
  }

  #feed(chunk: Buffer): void {
    this.#lastByteAt = performance.now();
    const lines = (this.#partial + this.#decoder.write(chunk)).split('\n');
    this.#partial = lines.pop() ?? '';
    if (this.#partial.length > LONGEST_LINE) {
      lines.push(this.#partial);
      this.#partial = '';
    }
    for (const raw of lines) {
      const line = raw.replaceAll('\r', '');
      this.#lines.push(line);
      this.#kept += line.length;
      for (const listener of [...this.#listeners]) listener(line);
    }
    // Now and then, not with every line: moving them all costs as much as keeping them saves.
    if (this.#lines.length > 2 * KEPT_LINES || this.#kept > 2 * KEPT_CHARACTERS) this.#forget();
  }

  #forget(): void {
    let [first, kept] = [this.#lines.length, 0];
    while (first > 0 && this.#lines.length - first < KEPT_LINES && kept < KEPT_CHARACTERS) {
      kept += this.#lines[--first]?.length ?? 0;
    }
    this.#lines = this.#lines.slice(first);
    this.#kept = kept;
  }
}
