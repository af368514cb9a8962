/**
 * A driver that is not ours, in the rig: the kernel's own driver for a display of QEMU's. It is what
 * docs/your-own-driver.md goes through, and as much of a suite as a display driver needs: what user space draws, the
 * host sees.
 */
import { describe, expect } from 'vitest';
import { endShow, showPicture, takePicture, wrongPixels } from '../testbed/device/display.ts';
import { test } from '../testbed/fixtures.ts';

test.override({ machine: 'bochs', stateless: true });

const BOCHS = { module: 'bochs', driver: 'bochs-drm' };
const DRIVER = '/sys/bus/pci/drivers/bochs-drm';

describe('bochs', { concurrent: true }, () => {
  test('what is drawn is what the display shows', async ({ vm, guest, seed }) => {
    await showPicture(guest, BOCHS, seed);
    const picture = await takePicture(vm);
    expect(picture.width).toBeGreaterThanOrEqual(640);
    expect(wrongPixels(picture, seed)).toBe(0);
    // The program then finds its own memory as it left it.
    expect(await endShow(guest)).toMatchObject({ ok: true, mismatches: 0 });
  });

  test('control: a picture that the driver was not told of is not there', async ({ vm, guest, seed }) => {
    await showPicture(guest, BOCHS, seed, '--flush no --lose yes');
    const picture = await takePicture(vm);
    expect(wrongPixels(picture, seed)).toBeGreaterThan((picture.width * picture.height) / 2);
    expect(wrongPixels(picture, seed - 1)).toBe(0);
    // Nor is a pixel that changes in the program's own memory.
    expect(await endShow(guest)).toMatchObject({ ok: false, mismatches: 1 });
  });

  test('the driver can be taken away while it shows something', async ({ guest, seed }) => {
    await showPicture(guest, BOCHS, seed);
    const [address = ''] = (await guest.run(`ls ${DRIVER} | grep :`)).split('\n');
    await guest.run(`echo ${address} > ${DRIVER}/unbind`);
    await guest.killAll('edgpu-stress');
    await guest.run('rmmod bochs && modprobe bochs && test -c /dev/dri/card0');
  });
});
