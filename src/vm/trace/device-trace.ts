/** QEMU's log of what the device does, in pieces whose names sort by time. */
import type { VmFolder } from '../vm-folder.ts';

export const DEVICE_TRACE = /^device-trace-\d+\.log$/;

export function nextDeviceTrace(folder: VmFolder): string {
  return folder.file(`device-trace-${String(Date.now())}.log`);
}
