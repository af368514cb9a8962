/** What was run in a guest, and what it said, is kept with the VM. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { bootFake, fakeGuest } from './fakes/fake-guest.ts';
import { FakeQemu } from './fakes/fake-qemu.ts';

test('both outputs and the end of each command, in order; of one that says much the last part', async () => {
  const qemu = await FakeQemu.create();
  const guest = await fakeGuest((channel, command) => {
    channel.write(command === 'much' ? 'x'.repeat(2 ** 20) : 'about to fail\n');
    if (command === 'fail') channel.stderr.write('oh no\n');
    channel.exit(command === 'fail' ? 7 : 0);
    channel.end();
  });
  const vm = await bootFake(qemu, guest);
  for (const command of ['fail', 'much', 'hang']) await vm.exec(command);
  await vm.end({ keep: true, verdict: {} });
  const log = await readFile(vm.folder.file('commands.log'), 'utf8');
  expect(log).toMatch(/^\$ fail\nabout to fail\noh no\n\[exit code 7, \d+\.\d s\]\n\$ much\nx+\n\[exit code 0/);
  expect(log.length).toBeLessThan(2 ** 17);
});
