/**
 * The guest of a fake QEMU: an SSH server in the test itself, which runs no commands but answers them as it is told to.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import ssh2, { type ServerChannel } from 'ssh2';
import { onTestFinished } from 'vitest';
import { generateSshKey, type SshAddress } from '../../../../src/vm/link/ssh-session.ts';
import { Vm, type VmSpec } from '../../../../src/vm/vm.ts';
import type { FakeQemu } from './fake-qemu.ts';

const { Server, utils } = ssh2;

/** Called for each command; it has to end the channel, or never does. */
export type Shell = (channel: ServerChannel, command: string) => void;

export interface FakeGuest extends SshAddress {
  /** Resets all connections, as a guest that has gone does; a FIN is an orderly end. */
  readonly disconnect: (how: 'reset' | 'fin') => void;
}

/** A command that has succeeded, and said this. */
export function succeed(channel: ServerChannel, stdout: string | Buffer = ''): void {
  channel.write(stdout);
  channel.exit(0);
  channel.end();
}

export async function fakeGuest(shell: Shell = (channel) => succeed(channel)): Promise<FakeGuest> {
  const host = generateSshKey();
  const parsed = utils.parseKey(host.publicKey);
  if (parsed instanceof Error || Array.isArray(parsed)) throw new Error('The key of a fake guest is malformed');
  const server = new Server({ hostKeys: [host.privateKey] }, (client) => {
    client.on('authentication', (attempt) => attempt.accept());
    client.on('error', () => undefined);
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec, _, { command }) => shell(acceptExec(), command));
    });
  });
  const sockets = new Set<Socket>();
  // Answers are short, and would wait for more to send.
  const port = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    server.injectSocket(socket);
  });
  await new Promise<void>((resolve) => port.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    port.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port: (port.address() as AddressInfo).port,
    hostKey: parsed.getPublicSSH().toString('base64'),
    privateKey: generateSshKey().privateKey,
    disconnect: (how) => {
      for (const socket of sockets) {
        if (how === 'reset') socket.resetAndDestroy();
        else socket.end();
      }
    },
  };
}

/** A VM whose guest is up: all that a test of its life needs, without a boot. */
export async function bootFake(qemu: FakeQemu, guest: FakeGuest, changes: Partial<VmSpec> = {}): Promise<Vm> {
  forwardTo(qemu, guest);
  const spec = await qemu.spec(changes);
  void qemu.started().then(() => qemu.say(`RIG-READY ${guest.hostKey}`, spec.folder));
  const vm = await Vm.boot(spec);
  onTestFinished(async () => {
    await vm.end({ keep: false, verdict: {} });
  });
  return vm;
}

/** The monitor tells the port of this guest. */
export function forwardTo(qemu: FakeQemu, { port }: FakeGuest): void {
  qemu.on('human-monitor-command', () => `  TCP[HOST_FORWARD]  12  127.0.0.1 ${String(port)}  10.0.2.15 22  0 0\n`);
}
