/**
 * The kernel's own driver for qxl, whose buffer objects the series moves into shmem: the one driver with TTM, beside
 * ours, whose device QEMU has. What user space has drawn goes to swap and comes back. The host's picture of the display
 * is no witness here, as bochs' is: without a client, QEMU keeps that of qxl black.
 */
import { describe, expect } from 'vitest';
import { drawnLog, endShow, showPicture } from '../testbed/device/display.ts';
import { test } from '../testbed/fixtures.ts';
import type { Guest } from '../testbed/guest/guest.ts';

test.override({ machine: 'qxl' });

const MIB = 2 ** 20;
/** One and a half times the RAM of the machine. */
const UNSEEN = 768 * MIB;
/** Enough to have something in swap over a sleep. */
const SOME = 64 * MIB;
/** So much of what is drawn is in VRAM, unlike dumb buffers that nobody shows. */
const IN_VRAM = 8 * MIB;
const QXL = { module: 'qxl', driver: 'qxl' };
const DRIVER = '/sys/bus/pci/drivers/qxl';

describe('qxl', { concurrent: true }, () => {
  // Not while somebody uses it: with objects in VRAM, qxl upstream does not survive that.
  test('what is drawn is in shmem; the driver can be taken away, and comes back', async ({ guest, seed }) => {
    const before = (await guest.meminfo()).get('Shmem') ?? NaN;
    await showPicture(guest, QXL, seed, `--unseen ${String(SOME)}`);
    // Under pressure TTM's own pages get there, too: now nothing is short of memory.
    expect((await guest.meminfo()).get('Shmem')).toBeGreaterThan(before + 0.9 * SOME);
    expect(await endShow(guest)).toMatchObject({ ok: true });
    const [address = ''] = (await guest.run(`ls ${DRIVER} | grep :`)).split('\n');
    await guest.run(`echo ${address} > ${DRIVER}/unbind`);
    // Its interrupt is another device's, too.
    await guest.run('cat /dev/vda > /dev/null & sleep 1; kill $!; rmmod qxl');
    await showPicture(guest, QXL, seed);
    expect(await endShow(guest)).toMatchObject({ ok: true });
  });

  test('buffers worth more than all RAM go to swap and come back', async ({ guest, seed, record }) => {
    await showPicture(guest, QXL, seed, `--unseen ${String(UNSEEN)}`);
    const { pswpout = 0 } = Object.fromEntries(await guest.vmstat());
    record.metrics['pswpout'] = pswpout;
    // No buffer was shown, so that a page that is not in RAM is in swap.
    expect(pswpout * 4096).toBeGreaterThan(UNSEEN - 512 * MIB);
    expect(await endShow(guest)).toMatchObject({ ok: true, mismatches: 0, bytesVerified: UNSEEN });
    expect((await guest.vmstat()).get('oom_kill')).toBe(0);
  });

  test('S3 and S4: the buffers are there afterwards, those in VRAM and on the display included', async ({
    guest,
    seed,
    suspend,
  }) => {
    for (const state of ['s3', 's4'] as const) {
      await showPicture(guest, QXL, seed, `--unseen ${String(SOME)} --vram ${String(IN_VRAM)}`);
      const before = await vramInUse(guest);
      expect(await suspend(state)).not.toHaveProperty('refusal');
      // Over S3, QEMU keeps what is in VRAM: there this alone shows that nothing was left in it.
      expect(await vramInUse(guest)).toBeLessThanOrEqual(before - IN_VRAM);
      expect(await endShow(guest)).toMatchObject({ ok: true, mismatches: 0, bytesVerified: SOME + IN_VRAM });
    }
  });

  test('control: bits that change are seen, on the display and elsewhere', async ({ guest, seed }) => {
    await showPicture(guest, QXL, seed, `--lose yes --unseen ${String(SOME)}`);
    expect(await endShow(guest)).toMatchObject({ ok: false, mismatches: 2 });
  });
});

describe('qxl, with the log of the kernel on its display', () => {
  test.override({ kernelArgs: ['drm_client_lib.active=log', 'console=drm_log'] });

  test('as many lines as it has, and more, are no trouble', async ({ guest }) => {
    await guest.run('modprobe qxl; for line in $(seq 200); do echo "<6>line $line" > /dev/kmsg; done');
    expect(await drawnLog(guest)).toBeGreaterThan(0);
  });
});

async function vramInUse(guest: Guest): Promise<number> {
  return Number(await guest.run("sed -n 's/^ *usage: //p' /sys/kernel/debug/dri/0/qxl_mem_mm"));
}
