/** Patterns of trace events, and what of a kernel's events they mean. */
import { didYouMean } from '../../util/nearest-names.ts';
import { RigError } from '../../util/rig-error.ts';

export interface TraceEvent {
  /** `drm:drm_vblank_event` */
  readonly name: string;
  /** It is there as soon as this one is loaded. */
  readonly module?: string;
}

/** `drm:*`, `vmscan:mm_vmscan_*` or, of any system, `sched_switch`; asterisk and question mark are as in a shell. */
const PATTERN = /^[\w*?-]+(?::[\w*?-]+)?$/;

/** The patterns of a list with commas; undefined if it is none. */
export function parseTracePatterns(text: string): readonly string[] | undefined {
  const words = text.split(',').map((word) => word.trim());
  return words.every((word) => PATTERN.test(word)) ? [...new Set(words)] : undefined;
}

/** What the kernel's file set_event takes for these; throws where the kernel has no such event. */
export function traceSettings(patterns: readonly string[], events: readonly TraceEvent[]): readonly string[] {
  return patterns.flatMap((pattern) => {
    const matches = events.filter(({ name }) => isMatch(pattern, name));
    if (matches.length === 0) throw noSuchEvent(pattern, events);
    const modules = [...new Set(matches.map(({ module }) => module))];
    return modules.map((module) => (module === undefined ? pattern : `${pattern}:mod:${module}`));
  });
}

function isMatch(pattern: string, name: string): boolean {
  const [system = '', event = ''] = name.split(':');
  const [wanted = '', wantedEvent] = pattern.split(':');
  // Without a colon it is an event, or a whole system.
  if (wantedEvent === undefined) return glob(wanted).test(event) || glob(wanted).test(system);
  return glob(wanted).test(system) && glob(wantedEvent).test(event);
}

function glob(pattern: string): RegExp {
  return new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}

function noSuchEvent(pattern: string, events: readonly TraceEvent[]): RigError {
  const [system] = pattern.split(':');
  const ofSystem = events.filter(({ name }) => name.startsWith(`${system ?? ''}:`)).map(({ name }) => name);
  const systems = [...new Set(events.map(({ name }) => `${name.split(':')[0] ?? ''}:*`))];
  const names = events.map(({ name }) => name);
  const near = didYouMean(pattern, ofSystem.length > 0 ? ofSystem : [...systems, ...names]);
  return new RigError('usage', `The guest's kernel has no trace event ${pattern}.`, {
    remedy: near ?? `It has these: ${systems.join(', ')}`,
  });
}
