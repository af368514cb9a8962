import { expect, test } from 'vitest';
import { saveHangEvidence } from '../../../src/vm/kernel-log/hang-evidence.ts';

interface Heard {
  readonly keys: string[];
  readonly files: Record<string, string>;
}

async function saved(run: (command: string) => Promise<string>): Promise<Heard> {
  const heard: Heard = { keys: [], files: {} };
  const sysrq = (key: string): Promise<void> => Promise.resolve(void heard.keys.push(key));
  const saveText = (name: string, text: string): Promise<void> => Promise.resolve(void (heard.files[name] = text));
  await saveHangEvidence({ sysrq, run, saveText }, 1);
  return heard;
}

test('a guest whose command hangs says which tasks are blocked, and leaves its log', async () => {
  const heard = await saved((command) => Promise.resolve(`what ${command} says`));
  expect(heard).toEqual({ keys: ['w', 'l'], files: { 'dmesg.txt': 'what dmesg says' } });
});

test('one that does not answer at all is not the next failure', async () => {
  const heard = await saved(() => Promise.reject(new Error('no session')));
  expect(heard).toEqual({ keys: ['w', 'l'], files: {} });
});
