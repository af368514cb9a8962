/**
 * What is written down of a guest that hangs, in which order, and that a guest which answers nothing is no further
 * failure.
 */
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { OF_AWAKE_GUEST, takeHangEvidence } from '../../../src/vm/kernel-log/hang-evidence.ts';
import { bootFake, fakeGuest, succeed } from './fakes/fake-guest.ts';
import { FakeQemu } from './fakes/fake-qemu.ts';

interface Heard {
  readonly asked: string[];
  readonly files: Record<string, string>;
}

async function taken(run: ((command: string) => Promise<string>) | undefined, monitorAnswers = true): Promise<Heard> {
  const heard: Heard = { asked: [], files: {} };
  await takeHangEvidence(
    {
      ask: (command) => {
        heard.asked.push(command);
        return monitorAnswers ? Promise.resolve('RIP=0') : Promise.reject(new Error('did not end within 10 s'));
      },
      sysrq: (key) => Promise.resolve(void heard.asked.push(key)),
      run,
      saveText: (name, text) => Promise.resolve(void (heard.files[name] = text)),
    },
    OF_AWAKE_GUEST,
    1,
  );
  return heard;
}

const ALL_ASKED = ['info registers -a', 'w', 'l', 'info registers -a'];

describe('a guest that hangs', () => {
  test('shows its registers twice and its blocked tasks, and leaves its log', async () => {
    const { asked, files } = await taken((command) => Promise.resolve(`what ${command} says`));
    expect(asked).toEqual(ALL_ASKED);
    expect(files).toMatchObject({ 'dmesg.txt': 'what dmesg says' });
    expect(files['hang-registers.txt']?.match(/RIP=/g)).toHaveLength(2);
  });

  test('and takes no commands leaves the rest', async () => {
    const { asked, files } = await taken(() => Promise.reject(new Error('no session')));
    expect(asked).toEqual(ALL_ASKED);
    expect(Object.keys(files)).toEqual(['hang-registers.txt']);
  });

  test('with a QEMU that does not answer is no further failure', async () => {
    expect((await taken(undefined, false)).files).toEqual({});
  });
});

test('a command that does not end leaves all of it, once', async () => {
  const qemu = await FakeQemu.create();
  const guest = await fakeGuest((channel, command) => {
    if (command === 'dmesg') succeed(channel, 'the log of the kernel');
  });
  const vm = await bootFake(qemu, guest);
  const hang = async (): Promise<unknown> => expect(vm.exec('hang', { deadlineMs: 50 })).rejects.toThrow('did not end');
  await hang();
  expect(await readFile(vm.folder.file('hang-registers.txt'), 'utf8')).toContain('A moment later');
  expect(await readFile(vm.folder.file('dmesg.txt'), 'utf8')).toBe('the log of the kernel');
  const breaks = (): number => qemu.commands.filter((name) => name === 'chardev-send-break').length;
  expect(breaks()).toBe(2);
  await hang();
  expect(breaks()).toBe(2);
});
