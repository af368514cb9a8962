/** A machine that can't be cloned is booted; a kernel bug that is met on the way is not passed over. */
import { beforeEach, expect, test, vi } from 'vitest';
import { startVm, vmFolder } from '../../../src/testbed/life/vm-start.ts';
import { RigError } from '../../../src/util/rig-error.ts';
import type { VmSpec } from '../../../src/vm/vm.ts';

const fakes = vi.hoisted(() => ({
  ...{ obtainTemplate: vi.fn(), discardTemplate: vi.fn(), isCloneable: vi.fn() },
  ...{ boot: vi.fn(), clone: vi.fn() },
}));
vi.mock('../../../src/vm/clone/template.ts', () => fakes);
vi.mock('../../../src/vm/vm.ts', () => ({ Vm: fakes }));

const BUG = new RigError('kernel', "The guest's kernel reported: BUG: KASAN");
const DISK = new RigError('infrastructure', 'no space left on device');
const BOOTED = { name: 'booted' };

let machine = 0;
let told: string[];

beforeEach(() => {
  vi.resetAllMocks();
  told = [];
  fakes.obtainTemplate.mockResolvedValue({ folder: '/nosuch' });
  fakes.boot.mockResolvedValue(BOOTED);
  fakes.isCloneable.mockReturnValue(true);
});

/** Each of a machine of its own: that one is no good is remembered. */
async function start(brought: Partial<VmSpec> = {}): ReturnType<typeof startVm> {
  const profile = { name: `machine ${String(++machine)}` };
  const spec = { profile, folder: '/nosuch/vm', signal: new AbortController().signal, ...brought } as unknown as VmSpec;
  return startVm(spec, { stateless: true, onFallback: (why) => told.push(why) });
}

test('a kernel bug while the template boots is a kernel bug', async () => {
  fakes.obtainTemplate.mockRejectedValue(BUG);
  await expect(start()).rejects.toBe(BUG);
  expect(fakes.boot).not.toHaveBeenCalled();
});

test('what else is wrong with a template is told, and the machine is booted', async () => {
  fakes.obtainTemplate.mockRejectedValue(DISK);
  expect(await start()).toEqual({ vm: BOOTED, cloned: false });
  expect(told).toEqual([expect.stringContaining('no space left')]);
});

test.for([
  ['a folder of the host', { shares: [{ folder: '/src', at: '/mnt/src' }] }, '--share'],
  ['a Debian userland', { userland: '/cache/debian.erofs' }, '--rootfs'],
] as const)('with %s a machine is booted, and that is told', async ([, brought, option]) => {
  const { isCloneable } = await vi.importActual<typeof import('../../../src/vm/clone/template.ts')>(
    '../../../src/vm/clone/template.ts',
  );
  fakes.isCloneable.mockImplementation(isCloneable);
  expect(await start(brought)).toEqual({ vm: BOOTED, cloned: false });
  expect(told).toEqual([expect.stringMatching(`^machine .* is booted, not cloned: .*\\(${option}\\)\\.$`)]);
  expect(fakes.obtainTemplate).not.toHaveBeenCalled();
});

test('each test has a folder of its own, whatever its name', () => {
  const names = ['a ≤ b', 'a ≥ b', 'переживает сон', '..', 'x'.repeat(300)];
  const folders = names.map((fullTestName, id) => vmFolder('/artifacts', { fullTestName, id: `-1_${String(id)}` }));
  expect(new Set(folders).size).toBe(names.length);
  for (const folder of folders) expect(folder).toMatch(/^\/artifacts\/[^/]{4,255}$/);
});
