/** The events of QEMU's monitor, which whoever waits for one must not mistake for an earlier one. */
import { PassThrough, Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { QmpClient } from '../../../src/vm/qemu/qmp.ts';

const BOUNDS = { signal: new AbortController().signal, deadlineMs: 10_000 };
const GREETING = { QMP: { version: {} } };

/** A monitor that greets and agrees; the test says what else it sends. */
async function openMonitor(): Promise<{ client: QmpClient; emit: (status: string) => void }> {
  const toClient = new PassThrough();
  const send = (message: object): void => void toClient.write(`${JSON.stringify(message)}\n`);
  const fromClient = new PassThrough();
  fromClient.on('data', () => send({ return: {}, id: 1 }));
  send(GREETING);
  const client = await QmpClient.open(Duplex.from({ readable: toClient, writable: fromClient }), BOUNDS);
  const timestamp = { seconds: 0, microseconds: 0 };
  return { client, emit: (status) => send({ event: 'MIGRATION', data: { status }, timestamp }) };
}

test('an event ends one wait, so that the second migration is not taken for done when the first one was', async () => {
  const { client, emit } = await openMonitor();
  const isEnd = ({ status }: Record<string, unknown>): boolean => status === 'completed';
  emit('completed');
  await client.waitFor('MIGRATION', BOUNDS, isEnd);
  let ended = false;
  const second = client.waitFor('MIGRATION', BOUNDS, isEnd).then(() => (ended = true));
  emit('active');
  await client.waitFor('MIGRATION', BOUNDS, ({ status }) => status === 'active');
  expect(ended).toBe(false);
  emit('completed');
  await second;
});

test('of two that came before anybody waited, each ends a wait', async () => {
  const { client, emit } = await openMonitor();
  emit('setup');
  emit('active');
  const statuses = [await client.waitFor('MIGRATION', BOUNDS), await client.waitFor('MIGRATION', BOUNDS)];
  expect(statuses.map(({ data }) => data['status'])).toEqual(['setup', 'active']);
});
