/**
 * What a line of the kernel's log on a display costs, with our driver and with bochs, whose frame buffer is in shmem,
 * too, and is copied to the device. The kernel prints it in a thread of its own, whose CPU time this is.
 *
 * Instructions: see swap.bench.ts.
 */
import { test } from '../testbed/fixtures.ts';
import { COUNTED_GUEST } from '../testbed/bench/counted-guest.ts';
import { inTurn, measurements } from '../testbed/bench/in-turn.ts';
import { drawnLog } from '../testbed/device/display.ts';

const LINES = 200;
const TEXT = 'the quick brown fox jumps over the lazy dog '.repeat(2).trim();

test.override({ machine: 'displays', dmaBits: 40, ...COUNTED_GUEST });

test('a line of the log', async ({ guest, rounds, report, cpuUnit }) => {
  const results = await inTurn(['edgpu', 'bochs'], rounds, async (driver) => {
    await guest.run(`modprobe ${driver}`);
    // What was said before is printed, too, and the first of all finds the display.
    const before = await drawnLog(guest);
    await guest.run(`for line in $(seq ${String(LINES)}); do echo "<6>$line ${TEXT}" > /dev/kmsg; done`);
    const after = await drawnLog(guest);
    await guest.run(`rmmod ${driver}`);
    return (after - before) / LINES / 1000;
  });
  report(measurements(results)(`one of ${String(TEXT.length)} characters`, cpuUnit, (cost) => cost, '≤ 2× bochs'));
});
