/** The folders of the host that a person wants to have in a guest: what can be known to be wrong with them. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import type { AskedShare, Share } from '../config/share.ts';
import { RigError } from '../util/rig-error.ts';

/** With absolute paths, each with a place in the guest. */
export async function checkedShares(asked: readonly AskedShare[]): Promise<Share[]> {
  const shares = asked.map(({ folder, at }): Share => {
    const whole = path.resolve(folder);
    return { folder: whole, at: path.posix.normalize(at ?? `/mnt/${path.basename(whole)}`).replace(/(.)\/$/, '$1') };
  });
  for (const [index, share] of shares.entries()) {
    await checkFolder(share.folder);
    checkPlace(share);
    const other = shares.slice(0, index).find(({ at }) => at === share.at);
    if (!other) continue;
    throw refused(share.folder, `${other.folder} is to be at ${share.at}, too`, remedyFor(share));
  }
  return shares;
}

async function checkFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch((cause: unknown) => {
    throw refused(folder, 'there is no such folder', undefined, cause);
  });
  if (!found.isDirectory()) {
    throw refused(folder, 'it is no folder', `For a file: --put ${folder}:/tmp/`);
  }
  await access(folder, constants.R_OK | constants.X_OK).catch((cause: unknown) => {
    throw refused(folder, 'it may not be read', undefined, cause);
  });
  if (/[,\s]/.test(folder)) {
    const remedy = 'Share a folder above it, or give it another name by a bind mount.';
    throw refused(folder, 'QEMU takes no path with a comma or a blank in it', remedy);
  }
}

/** What the guest itself needs in these would be hidden. */
const OF_GUEST = /^\/(?:$|(?:bin|dev|etc|lib|lib64|proc|run|sbin|sys|usr)(?:\/|$)|tmp$|root$)/;

function checkPlace(share: Share): void {
  const { folder, at } = share;
  // It goes to the guest on the kernel's command line.
  if (!/^\/[\w./+@=-]*$/.test(at)) {
    throw refused(folder, `${at} is no absolute path of letters, digits and ._+@=-`, remedyFor(share));
  }
  if (OF_GUEST.test(at)) throw refused(folder, `the guest has files of its own in ${at}`, remedyFor(share));
}

function remedyFor({ folder }: Share): string {
  return `For example: --share ${folder}:/mnt/mine`;
}

function refused(folder: string, why: string, remedy?: string, cause?: unknown): RigError {
  return new RigError('usage', `${folder} can't be shared with the guest: ${why}.`, {
    ...(remedy === undefined ? {} : { remedy }),
    ...(cause === undefined ? {} : { cause }),
  });
}
