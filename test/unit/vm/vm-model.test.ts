/**
 * Whatever happens to a VM in whatever order (it comes up, runs commands, sleeps, is saved; its kernel reports a bug,
 * its QEMU dies, its session is lost, the run is aborted, its owner ends it): all that was under way ends with the
 * right class of failure, and nothing is left. The model knows which class that is; fast-check thinks of the orders.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { propertyRuns, propertyTimeoutMs } from '../../device/property-runs.ts';
import { boundedWait } from '../../../src/util/bounded-wait.ts';
import type { Vm } from '../../../src/vm/vm.ts';
import { classOf, outcomeOf, VmUnderTest, type Start } from './fakes/vm-under-test.ts';

interface Model {
  start: Start;
  /** Lost: its session is, and it dies of that in a moment. Over: it is dead. */
  phase: 'new' | 'starting' | 'up' | 'asleep' | 'lost' | 'over' | 'gone';
  sleep: 's3' | 's4' | undefined;
  /** Switched off, and on again. */
  resumes: boolean;
  /** The session is lost, which shows only when the guest is awake. */
  lostInSleep: boolean;
  saved: boolean;
  /** Its kernel has reported a bug: nothing else explains a failure from then on. */
  bug: boolean;
  /** What it may have died of. */
  causes: string[];
}

/** What should come of something and does not: fast-check is told which. */
const STEP = { signal: new AbortController().signal, deadlineMs: 20_000 };

type Command = fc.AsyncCommand<Model, VmUnderTest>;
type Phase = Model['phase'];

function command(
  name: string,
  may: (model: Readonly<Model>) => boolean,
  run: (model: Model, real: VmUnderTest) => Promise<void>,
): fc.Arbitrary<Command> {
  return fc.constant({
    check: may,
    run: async (model, real) => {
      await boundedWait(name, run(model, real), STEP);
      expectState(model, real);
    },
    toString: () => name,
  });
}

const KINDS: Readonly<Record<Phase, readonly (string | undefined)[]>> = {
  new: [undefined],
  starting: [undefined],
  up: ['ready'],
  asleep: ['suspended'],
  lost: ['ready', 'dead'],
  over: ['dead', undefined],
  gone: ['gone'],
};

function expectState(model: Model, { vm }: VmUnderTest): void {
  // One that is booted for a template never has a session.
  const kinds = model.start === 'template' && model.phase === 'up' ? ['booting'] : KINDS[model.phase];
  expect(kinds).toContain(vm?.state.kind);
}

function expected({ bug, causes }: Readonly<Model>): readonly string[] {
  return bug ? ['kernel'] : causes;
}

function vmOf({ vm }: VmUnderTest): Vm {
  if (!vm) throw new Error('The model says that there is a VM');
  return vm;
}

/** Of all that was under way. */
async function expectEnd(model: Model, real: VmUnderTest): Promise<void> {
  if (model.phase === 'starting') expect(expected(model)).toContain(await real.starting);
  if (model.phase === 'asleep') expect(expected(model)).toContain(await real.sleeping);
  for (const outcome of await Promise.all(real.hanging.splice(0))) expect(expected(model)).toContain(outcome);
}

async function die(model: Model, real: VmUnderTest, cause: string): Promise<void> {
  model.causes.push(cause);
  await real.death();
  await expectEnd(model, real);
  model.phase = 'over';
  const { vm } = real;
  if (vm?.state.kind !== 'dead') return;
  for (const failure of [vm.state.failure, vm.signal.reason as Error, vm.explain(new Error('any'))])
    expect(expected(model)).toContain(classOf(failure));
}

const ALIVE: readonly Phase[] = ['starting', 'up', 'asleep', 'lost'];
const alive = ({ phase }: Readonly<Model>): boolean => ALIVE.includes(phase);
const awake = ({ phase, start }: Readonly<Model>): boolean => phase === 'up' && start !== 'template';

const starts = (['boot', 'boot', 'template', 'clone'] as const).map((start) =>
  command(
    `start a ${start}`,
    ({ phase }) => phase === 'new',
    async (model, real) => {
      await real.start(start);
      Object.assign(model, { start, phase: 'starting' });
    },
  ),
);

const progress = [
  command(
    'the guest is up',
    ({ phase }) => phase === 'starting',
    async (model, real) => {
      await real.listen();
      const failure = await real.starting;
      // What is wrong with a template would be wrong with all its clones.
      if (model.bug && model.start === 'template') {
        expect(failure).toBe('kernel');
        model.phase = 'over';
      } else {
        expect(failure).toBeUndefined();
        model.phase = 'up';
      }
    },
  ),
  command('run a command', awake, async (_, real) => {
    expect(await vmOf(real).exec('true')).toMatchObject({ exitCode: 0 });
  }),
  command('begin a command that never ends', awake, (_, real) => {
    real.hanging.push(outcomeOf(vmOf(real).exec('hang', { deadlineMs: 600_000 })));
    return Promise.resolve();
  }),
  command(
    'save',
    ({ phase, start, saved }) => phase === 'up' && start === 'template' && !saved,
    async (model, real) => {
      real.stateMoves();
      expect(await vmOf(real).save('/nowhere')).toBeUndefined();
      model.saved = true;
    },
  ),
];

const sleeps = [
  ...(['s3', 's4'] as const).map((state) =>
    command(`suspend to ${state}`, awake, async (model, real) => {
      await real.suspend(vmOf(real), state);
      Object.assign(model, { phase: 'asleep', sleep: state, resumes: false, lostInSleep: false });
    }),
  ),
  command(
    'the guest refuses to sleep',
    ({ phase, resumes }) => phase === 'asleep' && !resumes,
    async (model, real) => {
      await real.say('RIG-AWAKE 1 Device or resource busy');
      await wakeUp(model, real, 'Device or resource busy');
    },
  ),
  command(
    'the guest sleeps in RAM, and is woken',
    ({ phase, sleep }) => phase === 'asleep' && sleep === 's3',
    async (model, real) => {
      real.qemu.event('SUSPEND');
      await wakeUp(model, real, undefined);
    },
  ),
  command(
    'the guest switches itself off, and is switched on again',
    ({ phase, sleep, resumes }) => phase === 'asleep' && sleep === 's4' && !resumes,
    async (model, real) => {
      const again = real.qemu.started();
      await real.switchOff(vmOf(real));
      await again;
      // The session went with the machine.
      Object.assign(model, { resumes: true, lostInSleep: false });
      await expectHangs(model, real, 'infrastructure');
    },
  ),
  command(
    'the guest resumes from its disk',
    ({ phase, resumes }) => phase === 'asleep' && resumes,
    async (model, real) => {
      await real.say('RIG-AWAKE 0');
      await wakeUp(model, real, undefined);
    },
  ),
];

/** What a session ran that is gone, while the VM goes on. */
async function expectHangs({ bug }: Model, real: VmUnderTest, cause: string): Promise<void> {
  for (const outcome of await Promise.all(real.hanging.splice(0))) expect(outcome).toBe(bug ? 'kernel' : cause);
}

async function wakeUp(model: Model, real: VmUnderTest, refusal: string | undefined): Promise<void> {
  if (model.lostInSleep) {
    model.causes.push('infrastructure');
    expect(expected(model)).toContain(await real.sleeping);
    await real.death();
    await expectEnd({ ...model, phase: 'lost' }, real);
    model.phase = 'over';
  } else {
    expect(await real.sleeping).toBe(refusal);
    model.phase = 'up';
  }
}

const BUG = ['[    5.000001] BUG: KASAN: slab-use-after-free in ttm_bo_release+0x4d/0x1d0 [ttm]'];
const PANIC = [
  '[    6.000001] Kernel panic - not syncing: sysrq triggered crash',
  '[    6.000002] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---',
];

/** What a VM survives, at least for a moment. */
const injuries = [
  command(
    "the guest's kernel reports a bug",
    (model) => alive(model) && !model.bug,
    async (model, real) => {
      await real.report(BUG);
      // A session that was lost before may have been its death.
      if (real.vm?.state.kind === 'dead') await die(model, real, 'infrastructure');
      else model.bug = true;
    },
  ),
  command(
    'the session is lost',
    (model) => awake(model) || (model.phase === 'asleep' && !model.resumes),
    (model, real) => {
      real.disconnect();
      if (model.phase === 'asleep') model.lostInSleep = true;
      else Object.assign(model, { phase: 'lost', causes: [...model.causes, 'infrastructure'] });
      return Promise.resolve();
    },
  ),
];

/** What none survives; each has its test. */
const deaths: Readonly<Record<string, fc.Arbitrary<Command>>> = {
  panic: command("the guest's kernel panics", alive, async (model, real) => {
    for (const line of PANIC) await real.say(line);
    // Of a lost session it may have died before.
    model.bug ||= model.phase !== 'lost';
    await die(model, real, 'kernel');
  }),
  exit: command('QEMU exits', alive, async (model, real) => {
    real.qemu.exit(1, 'something is wrong');
    await die(model, real, 'infrastructure');
  }),
  kill: command('QEMU is killed', alive, async (model, real) => {
    await real.kill();
    await die(model, real, 'infrastructure');
  }),
  'full disk': command("the host's disk is full", alive, async (model, real) => {
    real.qemu.event('BLOCK_IO_ERROR', { nospace: true });
    await die(model, real, 'infrastructure');
  }),
  'broken KVM': command('KVM can not run its processors any further', alive, async (model, real) => {
    real.qemu.on('query-status', () => ({ status: 'internal-error', running: false }));
    real.qemu.event('STOP');
    await die(model, real, 'infrastructure');
  }),
  abort: command('the run is aborted', alive, async (model, real) => {
    real.abort();
    await die(model, real, 'Error: Ctrl-C');
  }),
  'lost session': command(
    'its session is lost, and it is waited for',
    (model) => model.phase === 'lost' || awake(model),
    async (model, real) => {
      real.disconnect();
      await die(model, real, 'infrastructure');
    },
  ),
  end: command(
    'its owner ends it',
    ({ phase }) => !['new', 'starting'].includes(phase),
    async (model, real) => {
      if (!real.vm) return;
      const first = end(real.vm);
      expect((await first).at(-1)).toMatchObject({ gone: true });
      expect(await end(real.vm)).toBe(await first);
      if (model.phase !== 'gone') model.causes.push('infrastructure');
      await expectEnd(model, real);
      model.phase = 'gone';
    },
  ),
};

const ended = ({ phase }: Readonly<Model>): boolean => phase === 'over' || phase === 'gone';

const afterwards = [
  command('run a command when it is over', ended, async (model, real) => {
    if (!real.vm) return;
    const outcome = await outcomeOf(real.vm.exec('true'));
    if (model.phase === 'over') expect(expected(model)).toContain(outcome);
    else expect(outcome).toBe(model.bug ? 'kernel' : 'Error: A command needs a VM that is ready, and this one is gone');
  }),
  command('suspend when it is over', ended, async (model, real) => {
    if (real.vm) expect(await outcomeOf(real.vm.suspend('s3'))).toBeDefined();
    expectState(model, real);
  }),
];

function end(vm: Vm): ReturnType<Vm['end']> {
  return vm.end({ keep: true, verdict: {} });
}

/** Many are thought of: what can't be in a phase is left out. */
const life = fc.commands([fc.oneof(...progress, ...progress, ...sleeps, ...injuries)], {
  maxCommands: 40,
  size: 'max',
});

async function tell(steps: Iterable<Command>): Promise<void> {
  const real = await VmUnderTest.create();
  const model: Model = {
    ...{ start: 'boot', phase: 'new', sleep: undefined, resumes: false, lostInSleep: false },
    ...{ saved: false, bug: false, causes: [] },
  };
  try {
    await fc.asyncModelRun(() => ({ model, real }), steps);
  } finally {
    if (model.phase === 'starting') real.abort();
    await boundedWait('The start', real.starting, STEP);
    if (real.vm) await boundedWait('The end', end(real.vm), STEP);
  }
  await boundedWait('What was under way', Promise.all([...real.hanging, real.sleeping]), STEP);
  await expect.poll(() => real.leftovers(), { timeout: 5000 }).toEqual([]);
}

test.for(Object.entries(deaths))(
  'a VM whose end is: %s has the right class of failure, and leaves nothing',
  { timeout: propertyTimeoutMs() },
  async ([, death]) => {
    const story = fc.asyncProperty(
      fc.oneof(...starts),
      life,
      death,
      fc.oneof(...afterwards),
      (...[start, lived, ...last]) => tell([start, ...lived, ...last]),
    );
    // A smaller story is found by hand; to look for it takes minutes.
    await fc.assert(story, { ...propertyRuns(3), endOnFailure: true });
  },
);
