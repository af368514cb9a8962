/** The guest's serial console: every byte to a log file, every line to subscribers, from the first byte on. */
import type { Duplex, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { boundedWait, type WaitBounds } from '../../util/bounded-wait.ts';

/** Of a console that is flooded: what is kept of it in memory, and in its log. */
const KEPT_LINES = 20_000;
const LONGEST_LINE = 64 * 1024;
const LARGEST_LOG = 256 * 2 ** 20;

/** Lines that who comes later gets to see. */
const SCREEN = 100;

/** Of the guest's init, through the kernel's log: its SSH server listens, and this is its key (ed25519: 51 bytes, in base64). */
const READY = /RIG-READY ([A-Za-z0-9+/]{68})\s*$/;

export class SerialConsole {
  readonly #decoder = new StringDecoder('utf8');
  readonly #listeners = new Set<(line: string) => void>();
  readonly #copies = new Set<Writable>();
  #lines: string[] = [];
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
      for (const copy of this.#copies) copy.write(chunk);
    });
    port.on('error', () => undefined); // QEMU's exit is what counts.
  }

  /** To the guest. */
  type(text: string | Buffer): void {
    this.#port.write(text);
  }

  /** Every byte from now on, until the returned function is called. */
  copyTo(copy: Writable): () => void {
    this.#copies.add(copy);
    return () => void this.#copies.delete(copy);
  }

  /** As a terminal takes it: what it would show had it been there. */
  recentText(): string {
    return [...this.tail(SCREEN), this.#partial].join('\r\n');
  }

  /** Calls `listener` for every complete line from now on. */
  follow(listener: (line: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls `listener` for every complete line since the start, those already seen (of a flood: the last of them) included. */
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
    // Now and then, not with every line: moving them all costs as much as keeping them saves.
    if (this.#lines.length > 2 * KEPT_LINES) this.#lines = this.#lines.slice(-KEPT_LINES);
    for (const raw of lines) {
      const line = raw.replaceAll('\r', '');
      this.#lines.push(line);
      for (const listener of [...this.#listeners]) listener(line);
    }
  }
}
