/** Commands and files in the guest over SSH: loopback only, and only to the host key that the console announced. */
import { createInterface } from 'node:readline';
import ssh2, { type ClientChannel } from 'ssh2';
import { RigError } from '../../util/rig-error.ts';
import { boundedWait, type WaitBounds } from '../../util/bounded-wait.ts';
import { shellQuote } from '../../util/shell-quote.ts';

// A CommonJS package whose exports Node can't name one by one.
const { Client, utils } = ssh2;
type Client = InstanceType<typeof Client>;

export interface SshKeyPair {
  readonly publicKey: string;
  readonly privateKey: string;
}

export interface SshAddress {
  readonly port: number;
  /** Base64 of the only acceptable ssh-ed25519 public host key. */
  readonly hostKey: string;
  readonly privateKey: string;
}

export interface CommandResult {
  /** Null when a signal ended the command. */
  readonly exitCode: number | null;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

export interface OpenCommand {
  readonly channel: ClientChannel;
  /** Its exit code, once all is said; null when a signal, or the session, ended it. */
  readonly ended: Promise<number | null>;
}

/** A key for one run: it is never written anywhere but into that run's guest. */
export function generateSshKey(): SshKeyPair {
  for (;;) {
    const pair = utils.generateKeyPairSync('ed25519');
    // One in some hundred of the keys that ssh2 writes is malformed (a part with a leading zero is cut short).
    if (!(utils.parseKey(pair.private) instanceof Error)) return { publicKey: pair.public, privateKey: pair.private };
  }
}

export class SshSession {
  readonly #client: Client;
  /** Resolves with the reason when the session ends, whoever ends it. */
  readonly lost: Promise<Error>;

  private constructor(client: Client) {
    this.#client = client;
    this.lost = new Promise((resolve) => {
      client.once('error', (cause) => resolve(brokenSession(cause)));
      client.once('close', () => resolve(new RigError('infrastructure', 'The SSH session to the guest was lost.')));
    });
  }

  static async connect(address: SshAddress, bounds: WaitBounds): Promise<SshSession> {
    const client = new Client();
    const expected = Buffer.from(address.hostKey, 'base64');
    let offered: Buffer | undefined;
    const ready = new Promise<void>((resolve, reject) => {
      client.once('ready', () => resolve());
      client.once('error', (cause) => reject(connectError(cause, expected, offered)));
    });
    client.connect({
      host: '127.0.0.1',
      port: address.port,
      username: 'root',
      privateKey: address.privateKey,
      readyTimeout: bounds.deadlineMs,
      algorithms: { serverHostKey: ['ssh-ed25519'] },
      hostVerifier: (key: Buffer) => {
        offered = key;
        return key.equals(expected);
      },
    });
    try {
      await boundedWait('The SSH connection to the guest', ready, bounds);
    } catch (error) {
      client.on('error', () => undefined);
      client.destroy();
      throw error;
    }
    return new SshSession(client);
  }

  /** Runs a shell command to its end, whatever its exit code. */
  async exec(command: string, bounds: WaitBounds, stdin: string | Buffer = ''): Promise<CommandResult> {
    const start = performance.now();
    let channel: ClientChannel | undefined;
    const output = new Promise<Omit<CommandResult, 'durationMs'>>((resolve, reject) => {
      this.#client.exec(command, (error, opened) => {
        if (error) {
          reject(brokenSession(error));
          return;
        }
        channel = opened;
        // Here and now: a short command's end may be in the same packet as its start.
        collectOutput(opened).then(resolve, reject);
        opened.end(stdin);
      });
    });
    try {
      const result = await boundedWait(`The guest command "${command}"`, this.#orLost(output), bounds);
      return { ...result, durationMs: performance.now() - start };
    } catch (error) {
      channel?.destroy();
      throw error;
    }
  }

  /** Runs a shell command as long as the session lasts, and hands out every line it prints; its end is nobody's concern. */
  follow(command: string, onLine: (line: string) => void): void {
    this.#client.exec(command, (error, channel) => {
      if (error) return;
      createInterface({ input: channel }).on('line', onLine);
      channel.on('error', () => undefined);
      channel.stderr.resume();
      channel.end();
    });
  }

  async putFile(path: string, content: string | Buffer, mode: number, bounds: WaitBounds): Promise<void> {
    const quoted = shellQuote(path);
    const { exitCode, stderr } = await this.exec(
      `cat > ${quoted} && chmod ${mode.toString(8)} ${quoted}`,
      bounds,
      content,
    );
    if (exitCode !== 0) throw new RigError('infrastructure', `Could not write ${path} in the guest: ${stderr.trim()}`);
  }

  /** A command whose streams are the caller's. */
  open(command: string): Promise<OpenCommand> {
    return new Promise((resolve, reject) => {
      this.#client.exec(command, (error, channel) =>
        error ? reject(brokenSession(error)) : resolve(watchEnd(channel)),
      );
    });
  }

  /** An interactive login shell on a terminal of this size. */
  shell(window: { rows: number; cols: number; term: string }): Promise<OpenCommand> {
    return new Promise((resolve, reject) => {
      this.#client.shell(window, (error, channel) =>
        error ? reject(brokenSession(error)) : resolve(watchEnd(channel)),
      );
    });
  }

  close(): void {
    this.#client.end();
    this.#client.destroy();
  }

  #orLost<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.lost.then((reason) => Promise.reject<T>(reason))]);
  }
}

/** From the very beginning: a short command's end may be in the same packet as its start, and is not told twice. */
function watchEnd(channel: ClientChannel): OpenCommand {
  let code: number | null = null;
  const ended = new Promise<number | null>((resolve, reject) => {
    channel.once('exit', (exit: number | null) => (code = exit));
    channel.once('close', () => resolve(code));
    channel.once('error', (cause: Error) => reject(brokenSession(cause)));
  });
  // Whoever waits for it learns of it.
  ended.catch(() => undefined);
  return { channel, ended };
}

/** Far more than any program of ours says; without a bound a loop in the guest would take the host's memory. */
const MOST_OUTPUT = 16 * 2 ** 20;

function collectOutput(channel: ClientChannel): Promise<Omit<CommandResult, 'durationMs'>> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const keep = (part: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MOST_OUTPUT) part.push(chunk);
      else reject(new RigError('infrastructure', 'The guest command did not stop to print: its output is too long.'));
    };
    channel.on('data', keep(stdout));
    channel.stderr.on('data', keep(stderr));
    let exit: { exitCode: number | null; signal: string | undefined } | undefined;
    channel.once('exit', (exitCode: number | null, signal?: string) => (exit = { exitCode, signal }));
    channel.once('error', (cause: Error) => reject(brokenSession(cause)));
    channel.once('close', () => {
      const text = { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
      if (exit) resolve({ ...exit, ...text });
      else reject(new RigError('infrastructure', 'The SSH session ended before the command did.'));
    });
  });
}

/** What ssh2 says by itself ("read ECONNRESET") has no class, and says nothing about the guest. */
function brokenSession(cause: Error): RigError {
  return new RigError('infrastructure', `The SSH session to the guest broke: ${cause.message}`, { cause });
}

function connectError(cause: Error, expected: Buffer, offered: Buffer | undefined): RigError {
  if (offered && !offered.equals(expected)) {
    return new RigError(
      'infrastructure',
      'The SSH server on the forwarded port is not our guest: its host key differs.',
      {
        cause,
      },
    );
  }
  return new RigError('infrastructure', `No SSH session to the guest: ${cause.message}`, { cause });
}
