/** The state of a machine as a file, on its way to another machine. */
import { expect } from 'vitest';
import type { EdgpuMachine } from '../../src/device/edgpu-machine.ts';

export async function watchMigration(machine: EdgpuMachine): Promise<void> {
  await machine.execute('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] });
}

/** How it ended. */
export async function migrationEnd(machine: EdgpuMachine): Promise<unknown> {
  const ends = ['completed', 'failed'];
  const { data } = await machine.waitForEvent('MIGRATION', ({ status: now }) => ends.includes(String(now)));
  return data['status'];
}

export async function save(machine: EdgpuMachine, file: string): Promise<void> {
  await watchMigration(machine);
  await machine.execute('stop');
  await machine.execute('migrate', { uri: `file:${file}` });
  expect(await migrationEnd(machine)).toBe('completed');
}

export async function load(machine: EdgpuMachine, file: string): Promise<void> {
  await watchMigration(machine);
  await machine.execute('migrate-incoming', { uri: `file:${file}` });
  expect(await migrationEnd(machine)).toBe('completed');
  await machine.execute('cont');
}

/** Loads what may be refused; the machine goes on living either way. */
export async function tryToLoad(machine: EdgpuMachine, file: string): Promise<'completed' | 'failed'> {
  await watchMigration(machine);
  await machine.execute('migrate-incoming', { uri: `file:${file}`, 'exit-on-error': false });
  return (await migrationEnd(machine)) === 'completed' ? 'completed' : 'failed';
}
