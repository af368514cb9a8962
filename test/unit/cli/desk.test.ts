/** What the desk verbs make of what a person says. */
import { describe, expect, test } from 'vitest';
import { chooseVm } from '../../../src/cli/desk/desk-vm.ts';
import { gdbArguments } from '../../../src/cli/desk/gdb-verb.ts';
import { parseTransfer } from '../../../src/config/transfer.ts';
import { RigError } from '../../../src/util/rig-error.ts';

describe('--vm', () => {
  const smoke = { pid: 11, folder: '/artifacts/1/smoke-dma-bits-32', state: 'ready', door: '/d/11.sock' };
  const swap = { pid: 112, folder: '/artifacts/1/swap-disk', state: 'booting', door: '/d/112.sock' };
  const failure = (wanted: string | true, running = [smoke, swap]): unknown => {
    try {
      return chooseVm(running, wanted);
    } catch (error) {
      return error;
    }
  };

  test.for([
    ['its process id', '11', smoke],
    ['a part of its name', 'swap', swap],
  ] as const)('%s names one', ([, wanted, vm]) => expect(chooseVm([smoke, swap], wanted)).toBe(vm));
  test('without a name it is the only one', () => expect(chooseVm([swap], true)).toBe(swap));
  test.for([
    ['several', true, 'Several'],
    ['several of that name', 's', 'Several'],
    ['none of that name', 'nosuch', 'called nosuch'],
    ['the name of a folder above', 'artifacts', 'called artifacts'],
  ] as const)('%s: the person is told which there are', ([, wanted, message]) => {
    const error = failure(wanted);
    expect(error).toBeInstanceOf(RigError);
    expect(error).toMatchObject({ failureClass: 'usage', message: expect.stringContaining(message) as string });
    expect((error as RigError).remedy).toContain('11  ready  smoke-dma-bits-32\n  112  booting  swap-disk');
  });
  test('none at all', () => expect(failure(true, [])).toMatchObject({ message: 'No VM is running.' }));
});

describe('--put and --get', () => {
  test('from and to', () => expect(parseTransfer('a b/c.ko:/tmp/')).toEqual({ from: 'a b/c.ko', to: '/tmp/' }));
  test.for(['a', ':b', 'a:', '', 'a:b:c'])('%o is refused', (text) => {
    expect(parseTransfer(text)).toBeUndefined();
  });
});

test('gdb trusts the kernel’s scripts before it loads them, and knows modules from the start', () => {
  const kernel = { folder: '/c/k 1', vmlinux: '/c/k 1/vmlinux', debugModules: '/c/k 1/modules-debug' };
  const args = gdbArguments(kernel, '/tmp/x/stub', ['-batch']);
  const order = ['add-auto-load-safe-path /c/k 1', 'file "/c/k 1/vmlinux"', 'target remote /tmp/x/stub'];
  const found = order.map((command) => args.indexOf(command));
  expect(found).toEqual([...found].sort((a, b) => a - b));
  expect(found).not.toContain(-1);
  expect(args).toContain('lx-symbols /c/k 1/modules-debug');
  expect(args.at(-1)).toBe('-batch');
});
