/** An SSH session that breaks, however it does, is a failure of the infrastructure and says nothing about the guest. */
import { connect, createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { once } from 'node:events';
import ssh2 from 'ssh2';
import { expect, onTestFinished, test } from 'vitest';
import { generateSshKey, SshSession } from '../../../src/vm/link/ssh-session.ts';

async function portOf(server: TcpServer | InstanceType<typeof ssh2.Server>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** A server that lets everybody in and never ends a command, and a connection to it that the test can break. */
async function openBreakable(): Promise<{ session: SshSession; started: Promise<unknown>; connection: Socket }> {
  const [host, user] = [generateSshKey(), generateSshKey()];
  const server = new ssh2.Server({ hostKeys: [host.privateKey] });
  const started = new Promise((resolve) => {
    server.on('connection', (client) => {
      client.on('authentication', (attempt) => attempt.accept());
      client.on('error', () => undefined);
      client.on('session', (accept) => accept().on('exec', (acceptCommand) => void resolve(acceptCommand())));
    });
  });
  const port = await portOf(server);
  const proxy = createServer((inside) => {
    const outside = connect(port, '127.0.0.1');
    for (const end of [inside, outside]) end.on('error', () => undefined);
    inside.pipe(outside).pipe(inside);
  });
  const connection = once(proxy, 'connection').then(([socket]) => socket as Socket);
  const hostKey = host.publicKey.split(' ')[1] ?? '';
  const address = { port: await portOf(proxy), hostKey, privateKey: user.privateKey };
  const bounds = { signal: new AbortController().signal, deadlineMs: 20_000 };
  return { session: await SshSession.connect(address, bounds), started, connection: await connection };
}

test.for([
  ['in order', (connection: Socket): unknown => connection.end()],
  ['by a reset', (connection: Socket): unknown => connection.resetAndDestroy()],
] as const)('ended %s', async ([, breakIt]) => {
  const { session, started, connection } = await openBreakable();
  const bounds = { signal: new AbortController().signal, deadlineMs: 20_000 };
  const command = session.exec('sleep 100', bounds).catch((error: unknown) => error);
  await started;
  breakIt(connection);
  expect(await command).toMatchObject({ failureClass: 'infrastructure' });
  expect(await session.lost).toMatchObject({ failureClass: 'infrastructure' });
});
