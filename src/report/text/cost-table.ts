/** What a run cost in time, part by part, so that whoever adds a test sees what it adds. */
import { elapsed } from './elapsed.ts';

export interface CostPart {
  readonly name: string;
  readonly milliseconds: number;
  readonly vms?: number;
}

/** The longest first; parts may overlap, so that they add up to more than `totalMs`. */
export function costTable(parts: readonly CostPart[], totalMs: number): string {
  const rows = parts.toSorted((a, b) => b.milliseconds - a.milliseconds);
  const lines = rows.map(({ name, milliseconds, vms = 0 }) => {
    const booted = vms > 0 ? `  ${String(vms)} ${vms === 1 ? 'VM' : 'VMs'}` : '';
    return `  ${elapsed(milliseconds).padStart(12)}  ${name}${booted}`;
  });
  return [`What took how long, ${elapsed(totalMs)} in all:`, ...lines].join('\n');
}
