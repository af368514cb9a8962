/** What a run cost in time, part by part, so that whoever adds a test sees what it adds. */
import { elapsed } from './elapsed.ts';

export interface CostPart {
  readonly name: string;
  readonly milliseconds: number;
  readonly vms?: number;
}

/** Shorter parts are only added up. */
const LEAST_MS = 1000;

/** The longest first; parts may overlap, so that they add up to more than `totalMs`. */
export function costTable(parts: readonly CostPart[], totalMs: number): string {
  const long = parts.filter(({ milliseconds }) => milliseconds >= LEAST_MS);
  const short = parts.filter(({ milliseconds }) => milliseconds < LEAST_MS);
  const rows = long.toSorted((a, b) => b.milliseconds - a.milliseconds);
  const sum = short.reduce((total, { milliseconds }) => total + milliseconds, 0);
  const rest = short.length === 0 ? [] : [{ name: `${String(short.length)} others`, milliseconds: sum }];
  const lines = [...rows, ...rest].map(({ name, milliseconds, vms = 0 }: CostPart) => {
    const booted = vms > 0 ? `  ${String(vms)} ${vms === 1 ? 'VM' : 'VMs'}` : '';
    return `  ${elapsed(milliseconds).padStart(12)}  ${name}${booted}`;
  });
  return [`What took how long, ${elapsed(totalMs)} in all:`, ...lines].join('\n');
}
