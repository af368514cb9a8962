/**
 * QEMU without a guest: a client of its qtest protocol, which reads and writes memory and ports and moves the clock.
 */
import type { Duplex } from 'node:stream';
import { RigError } from '../util/rig-error.ts';
import { boundedWait, type WaitBounds } from '../util/bounded-wait.ts';

type AccessSize = 1 | 2 | 4 | 8;

const LETTER = { 1: 'b', 2: 'w', 4: 'l', 8: 'q' } as const;

/**
 * In one line to QEMU, which takes 1 KiB of it at a time, and looks each time through all that it has for the end: what
 * a line costs grows with the square of its length.
 */
const BLOCK = 1 << 14;

interface Pending {
  readonly command: string;
  readonly resolve: (reply: string) => void;
  readonly reject: (error: Error) => void;
}

/** Replies come in the order of the commands, so a caller may send many before it awaits the first. */
export class QtestClient {
  readonly #stream: Duplex;
  readonly #bounds: WaitBounds;
  readonly #pending: Pending[] = [];
  #partial = '';
  #closed: Error | undefined;
  #clock = 0;

  /** `bounds` hold for each command. */
  constructor(stream: Duplex, bounds: WaitBounds) {
    this.#stream = stream;
    this.#bounds = bounds;
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => this.#feed(chunk));
    stream.on('error', (error) => this.#close(error));
    stream.on('close', () => this.#close(undefined));
  }

  async readPort(port: number, size: 1 | 2 | 4): Promise<number> {
    return Number(await this.#command(`in${LETTER[size]} ${hex(port)}`));
  }

  async writePort(port: number, size: 1 | 2 | 4, value: number): Promise<void> {
    await this.#command(`out${LETTER[size]} ${hex(port)} ${hex(value)}`);
  }

  async read(address: bigint, size: AccessSize): Promise<bigint> {
    return BigInt(await this.#command(`read${LETTER[size]} ${hex(address)}`));
  }

  async write(address: bigint, size: AccessSize, value: bigint): Promise<void> {
    await this.#command(`write${LETTER[size]} ${hex(address)} ${hex(value)}`);
  }

  async readBytes(address: bigint, length: number): Promise<Uint8Array> {
    const blocks = blocksOf(length).map(async ({ start, size }) =>
      Buffer.from(await this.#command(`b64read ${hex(address + BigInt(start))} ${hex(size)}`), 'base64'),
    );
    return new Uint8Array(Buffer.concat(await Promise.all(blocks)));
  }

  async writeBytes(address: bigint, bytes: Uint8Array): Promise<void> {
    const blocks = blocksOf(bytes.length).map(({ start, size }) => {
      const text = Buffer.from(bytes.subarray(start, start + size)).toString('base64');
      return this.#command(`b64write ${hex(address + BigInt(start))} ${hex(size)} ${text}`);
    });
    await Promise.all(blocks);
  }

  /** Moves the virtual clock by this much, or to the next timer, running all timers on the way. */
  async stepClock(nanoseconds?: number): Promise<void> {
    const reply = await this.#command(nanoseconds === undefined ? 'clock_step' : `clock_step ${String(nanoseconds)}`);
    this.#clock = Number(reply);
  }

  /** What the virtual clock shows, in nanoseconds. */
  get clock(): number {
    return this.#clock;
  }

  #command(command: string): Promise<string> {
    if (this.#closed) return Promise.reject(this.#closed);
    const reply = new Promise<string>((resolve, reject) => this.#pending.push({ command, resolve, reject }));
    this.#stream.write(`${command}\n`);
    return boundedWait(`qtest command ${shorten(command)}`, reply, this.#bounds);
  }

  #feed(chunk: string): void {
    const lines = (this.#partial + chunk).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) this.#receive(line.trim());
  }

  #receive(line: string): void {
    // Interrupts that somebody intercepted; nobody does.
    if (line.startsWith('IRQ ')) return;
    const pending = this.#pending.shift();
    if (!pending) return;
    if (line.startsWith('OK')) pending.resolve(line.slice('OK'.length).trim());
    else pending.reject(new RigError('infrastructure', `QEMU refused qtest ${shorten(pending.command)}: ${line}`));
  }

  #close(cause: Error | undefined): void {
    this.#closed ??= new RigError('infrastructure', 'QEMU closed its qtest channel.', { cause });
    for (const pending of this.#pending.splice(0)) pending.reject(this.#closed);
  }
}

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const CAPABILITIES = 0x34;
const COMMAND = 0x04;
const FIRST_BAR = 0x10;
const BAR_IS_64_BIT = 0x4;

export const PCI_COMMAND_MEMORY = 0x2;
export const PCI_COMMAND_MASTER = 0x4;

/** A PCI function, through the ports: what firmware would do, for there is none. */
export class PciFunction {
  readonly #qtest: QtestClient;
  readonly #selector: number;

  constructor(qtest: QtestClient, slot: number, bus = 0) {
    this.#qtest = qtest;
    this.#selector = 0x8000_0000 + (bus << 16) + (slot << 11);
  }

  async read(offset: number, size: 1 | 2 | 4): Promise<number> {
    const read = [this.#select(offset), this.#qtest.readPort(CONFIG_DATA + (offset & 3), size)] as const;
    const [, value] = await Promise.all(read);
    return value;
  }

  async write(offset: number, size: 1 | 2 | 4, value: number): Promise<void> {
    await Promise.all([this.#select(offset), this.#qtest.writePort(CONFIG_DATA + (offset & 3), size, value)]);
  }

  /** Places a BAR; decoding starts with PCI_COMMAND_MEMORY. */
  async setBar(bar: number, address: bigint): Promise<void> {
    const offset = FIRST_BAR + 4 * bar;
    const is64Bit = ((await this.read(offset, 4)) & BAR_IS_64_BIT) !== 0;
    await this.write(offset, 4, Number(address & 0xffff_ffffn));
    if (is64Bit) await this.write(offset + 4, 4, Number(address >> 32n));
  }

  async setCommand(bits: number): Promise<void> {
    await this.write(COMMAND, 2, bits);
  }

  /** The offset of a capability; undefined if the function has none such. */
  async findCapability(id: number): Promise<number | undefined> {
    const [first] = await this.findCapabilities(id);
    return first;
  }

  /** The offsets of all capabilities of this kind. */
  async findCapabilities(id: number): Promise<number[]> {
    const found: number[] = [];
    let offset = await this.read(CAPABILITIES, 1);
    // The standard configuration space has room for 48.
    for (let i = 0; i < 48 && offset !== 0; i++) {
      if ((await this.read(offset, 1)) === id) found.push(offset);
      offset = await this.read(offset + 1, 1);
    }
    return found;
  }

  #select(offset: number): Promise<void> {
    return this.#qtest.writePort(CONFIG_ADDRESS, 4, this.#selector + (offset & ~3));
  }
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function shorten(command: string): string {
  return command.length > 60 ? `${command.slice(0, 60)}…` : command;
}

function blocksOf(length: number): { start: number; size: number }[] {
  return Array.from({ length: Math.ceil(length / BLOCK) }, (_, i) => {
    const start = i * BLOCK;
    return { start, size: Math.min(BLOCK, length - start) };
  });
}
