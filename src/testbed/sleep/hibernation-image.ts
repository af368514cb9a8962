/** What becomes of VRAM in a hibernation: how much larger the image is for it, and who copies it when. */
import { PAGE_SIZE } from '../guest/proc-files.ts';
import type { Gpu } from '../device/gpu.ts';
import type { Guest } from '../guest/guest.ts';
import type { Vm } from '../../vm/vm.ts';
import { driverStat } from './sleep-suite.ts';

const IMAGE_CREATED = /Image created \((\d+) pages copied/;

interface HibernationBytes {
  /** In the image, uncompressed. */
  readonly image: number;
  /** The most that it could have been without VRAM: all that was in use before, page cache excepted. */
  readonly others: number;
  /** Of VRAM, saved and restored. */
  readonly saved: number;
  readonly restored: number;
  /** That the device has copied since all was saved, until the image is written: by then devices run again (thaw). */
  readonly thawed: number;
}

interface ImageWatch {
  /** To be told of the stages of one hibernation. */
  readonly onStage: (stage: string) => Promise<void>;
  /** When it is over. */
  readonly bytes: () => Promise<HibernationBytes>;
}

export async function watchImage({ vm, guest, gpu }: { vm: Vm; guest: Guest; gpu: Gpu }): Promise<ImageWatch> {
  const others = await usedBytes(guest);
  const before = await countSaved(guest);
  const copied: Record<string, number> = {};
  let image = NaN;
  const stop = vm.console.follow((line) => {
    image = Number(IMAGE_CREATED.exec(line)?.[1] ?? image / PAGE_SIZE) * PAGE_SIZE;
  });
  return {
    onStage: async (stage) => {
      // The kernel that reads the image freezes its tasks, too: that is another machine.
      if (stage === 'freeze' || stage === 'image-write') copied[stage] ??= await copiedBytes(gpu);
    },
    bytes: async () => {
      stop();
      const after = await countSaved(guest);
      return {
        image,
        others,
        saved: after.saved - before.saved,
        restored: after.restored - before.restored,
        thawed: (copied['image-write'] ?? NaN) - (copied['freeze'] ?? NaN),
      };
    },
  };
}

async function usedBytes(guest: Guest): Promise<number> {
  await guest.run('sync; echo 3 > /proc/sys/vm/drop_caches');
  const ram = (await guest.ram()).reduce((sum, { start, end }) => sum + end - start, 0);
  return ram - ((await guest.meminfo()).get('MemFree') ?? NaN);
}

async function countSaved(guest: Guest): Promise<{ saved: number; restored: number }> {
  return { saved: await driverStat(guest, 'saved_bytes'), restored: await driverStat(guest, 'restored_bytes') };
}

async function copiedBytes(gpu: Gpu): Promise<number> {
  const statistics = await gpu.statistics();
  return statistics['dma-read-bytes'] + statistics['dma-write-bytes'];
}
