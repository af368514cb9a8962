/** Control groups of the guest: folders below CGROUPS, each with files of its controllers. */
import type { Guest } from './guest.ts';

export const CGROUPS = '/sys/fs/cgroup';

/** A command whose processes are in it from the beginning. */
export function inCgroup(folder: string, command: string): string {
  return `sh -c 'echo 0 > ${folder}/cgroup.procs && exec ${command}'`;
}

/** Makes groups with these values in their files; both controllers are there for all. */
export async function makeCgroups(
  guest: Guest,
  limits: Readonly<Record<string, Readonly<Record<string, number>>>>,
): Promise<void> {
  const commands = [
    `{ grep -q " ${CGROUPS} " /proc/mounts || mount -t cgroup2 none ${CGROUPS}; }`,
    `echo +memory +dmem > ${CGROUPS}/cgroup.subtree_control`,
  ];
  for (const [folder, files] of Object.entries(limits)) {
    commands.push(`mkdir -p ${folder}`);
    for (const [file, value] of Object.entries(files)) commands.push(`echo ${String(value)} > ${folder}/${file}`);
  }
  await guest.run(commands.join(' && '));
}

/** What a file of one number has. */
export async function numberIn(guest: Guest, file: string): Promise<number> {
  return Number(await guest.run(`cat ${file}`));
}

/** How many of its processes were killed for want of memory. */
export async function kills(guest: Guest, folder: string): Promise<number> {
  return Number(await guest.run(`sed -n 's/^oom_kill //p' ${folder}/memory.events`));
}
