/** The QEMU machine protocol over any duplex stream: commands in, replies and events out, one JSON object a line. */
import type { Duplex, Writable } from 'node:stream';
import { z } from 'zod';
import { RigError } from '../../util/rig-error.ts';
import { boundedWait, type WaitBounds } from '../../util/bounded-wait.ts';

const timestamp = z.object({ seconds: z.number(), microseconds: z.number() });
const greeting = z.object({ QMP: z.object({ version: z.unknown() }) });
const event = z.object({ event: z.string(), data: z.record(z.string(), z.unknown()).default({}), timestamp });
const failure = z.object({ error: z.object({ class: z.string(), desc: z.string() }), id: z.number().optional() });
const success = z.object({ return: z.unknown(), id: z.number() });
const message = z.union([greeting, event, failure, success]);

export type QmpEvent = z.infer<typeof event>;

/** QEMU refused a command; `qmpClass` is its error class. */
export class QmpRefusal extends RigError {
  readonly qmpClass: string;

  constructor(command: string, qmpClass: string, description: string) {
    super('infrastructure', `QEMU refused ${command}: ${description}`);
    this.qmpClass = qmpClass;
  }
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class QmpClient {
  readonly #stream: Duplex;
  readonly #log: Writable | undefined;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #history: QmpEvent[] = [];
  readonly #waitedFor = new Set<QmpEvent>();
  readonly #greeted: Promise<void>;
  #greet: () => void = () => undefined;
  #failGreeting: (error: Error) => void = () => undefined;
  #partial = '';
  #nextId = 1;
  #closed: Error | undefined;

  private constructor(stream: Duplex, log: Writable | undefined) {
    this.#stream = stream;
    this.#log = log;
    this.#greeted = new Promise((resolve, reject) => {
      this.#greet = resolve;
      this.#failGreeting = reject;
    });
    this.#greeted.catch(() => undefined);
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => this.#feed(chunk));
    stream.on('error', (error) => this.#close(error));
    stream.on('close', () => this.#close(undefined));
  }

  /** Waits for the greeting and leaves negotiation mode. `log` gets every line, each way. */
  static async open(stream: Duplex, bounds: WaitBounds, log?: Writable): Promise<QmpClient> {
    const client = new QmpClient(stream, log);
    await boundedWait("QEMU's greeting", client.#greeted, bounds);
    await client.execute('qmp_capabilities', {}, bounds);
    return client;
  }

  /** The reply is unknown on purpose: parse it with a schema. */
  async execute(command: string, args: Record<string, unknown>, bounds: WaitBounds): Promise<unknown> {
    if (this.#closed) throw this.#closed;
    const id = this.#nextId++;
    const reply = new Promise<unknown>((resolve, reject) => this.#pending.set(id, { command, resolve, reject }));
    this.#send(JSON.stringify({ execute: command, arguments: args, id }));
    try {
      return await boundedWait(`QMP command ${command}`, reply, bounds);
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Calls `listener` for every event since the greeting, those already seen included; returns the way to stop. */
  subscribe(listener: (event: QmpEvent) => void): () => void {
    for (const past of this.#history) listener(past);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** All events so far. */
  get history(): readonly QmpEvent[] {
    return this.#history;
  }

  /** Resolves at the next event of this name; whoever waits has another way to learn that it won't come. */
  next(name: string): Promise<void> {
    return new Promise((resolve) => {
      const listener = (candidate: QmpEvent): void => {
        if (candidate.event !== name) return;
        this.#listeners.delete(listener);
        resolve();
      };
      this.#listeners.add(listener);
    });
  }

  /** All events of this name so far. */
  seen(name: string): QmpEvent[] {
    return this.#history.filter((past) => past.event === name);
  }

  /**
   * The first event of this name that is meant and that nobody has waited for, past or future: the event of a command
   * may come before its reply, and one from before the command must not be taken for it.
   */
  async waitFor(
    name: string,
    bounds: WaitBounds,
    isMeant: (data: QmpEvent['data']) => boolean = () => true,
  ): Promise<QmpEvent> {
    let stop: () => void = () => undefined;
    const found = new Promise<QmpEvent>((resolve) => {
      let isFound = false;
      stop = this.subscribe((candidate) => {
        if (isFound || candidate.event !== name || this.#waitedFor.has(candidate) || !isMeant(candidate.data)) return;
        isFound = true;
        this.#waitedFor.add(candidate);
        resolve(candidate);
      });
    });
    try {
      return await boundedWait(`QMP event ${name}`, found, bounds);
    } finally {
      stop();
    }
  }

  /** Whether a command may still arrive. */
  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  close(): void {
    this.#close(undefined);
    this.#stream.destroy();
  }

  #send(line: string): void {
    this.#log?.write(`> ${line}\n`);
    this.#stream.write(`${line}\n`);
  }

  #feed(chunk: string): void {
    const lines = (this.#partial + chunk).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') this.#receive(line);
  }

  #receive(line: string): void {
    this.#log?.write(`< ${line.trimEnd()}\n`);
    const parsed = parseMessage(line);
    if (parsed === undefined) {
      this.#close(
        new RigError('infrastructure', `QEMU's monitor sent something that is not QMP: ${line.slice(0, 200)}`),
      );
      this.#stream.destroy();
    } else if ('QMP' in parsed) {
      this.#greet();
    } else if ('event' in parsed) {
      this.#history.push(parsed);
      for (const listener of [...this.#listeners]) listener(parsed);
    } else {
      this.#settle(parsed);
    }
  }

  #settle(reply: z.infer<typeof success> | z.infer<typeof failure>): void {
    // A failure without an id answers a line QEMU could not parse; nothing we send is one.
    const pending = reply.id === undefined ? undefined : this.#pending.get(reply.id);
    if (!pending) return;
    if ('error' in reply) pending.reject(new QmpRefusal(pending.command, reply.error.class, reply.error.desc));
    else pending.resolve(reply.return);
  }

  #close(cause: Error | undefined): void {
    this.#closed ??=
      cause instanceof RigError ? cause : new RigError('infrastructure', 'QEMU closed its monitor.', { cause });
    this.#failGreeting(this.#closed);
    for (const pending of this.#pending.values()) pending.reject(this.#closed);
    this.#pending.clear();
  }
}

function parseMessage(line: string): z.infer<typeof message> | undefined {
  try {
    return message.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
