/** Naps of the first device, by runtime PM. */
import type { Guest } from '../guest/guest.ts';

const DEADLINE_MS = 300_000;

/** Where the kernel tells of them. */
export const POWER = '/sys/class/drm/renderD128/device/power';

/** From now on it goes to D3hot when nobody has used it for so long. */
export async function allowNaps(guest: Guest, delayMs: number): Promise<void> {
  await guest.run(`echo ${String(delayMs)} > ${POWER}/autosuspend_delay_ms && echo auto > ${POWER}/control`);
}

/** Resolves when it is in D3hot. */
export async function untilAsleep(guest: Guest): Promise<void> {
  await guest.run(`until grep -qx suspended ${POWER}/runtime_status; do sleep 0.1; done`, { deadlineMs: DEADLINE_MS });
}
