/**
 * Plans: which suites, kernels and combinations make up a smoke test, a CI run, a night. The data is rig/plans.yaml.
 */
import { readFile } from 'node:fs/promises';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { whichThereAre } from '../util/nearest-names.ts';
import { RigError } from '../util/rig-error.ts';
import { BACKENDS, CACHINGS, COVERS, DMA_BITS, type Cover, type Factors, type Impossible } from './combination.ts';
import { parseDuration } from './duration.ts';
import { FLAVOURS } from './flavour.ts';
import { repositoryPath } from './paths.ts';

const FILE = 'rig/plans.yaml';

const oneOrMore = <T extends z.ZodType>(value: T): z.ZodTuple<[T], T> => z.tuple([value], value);
const flavours = oneOrMore(z.enum(FLAVOURS));

const factors = z.strictObject({
  machine: oneOrMore(z.string()),
  dmaBits: oneOrMore(z.int().min(DMA_BITS.from).max(DMA_BITS.to)),
  backend: oneOrMore(z.enum(BACKENDS)),
  caching: oneOrMore(z.enum(CACHINGS)),
  flavour: flavours,
});
const someFactors = factors.partial();

const impossible = someFactors
  .extend({ because: z.string().min(1) })
  .transform(({ because, ...values }): Impossible => ({ values, because }));

const duration = z.string().transform((text, context) => {
  const milliseconds = parseDuration(text);
  if (milliseconds !== undefined) return milliseconds;
  context.addIssue({ code: 'custom', message: `"${text}" is not a duration: write it as 90 s, 30 min or 8 h` });
  return z.NEVER;
});

const plan = z.strictObject({
  description: z.string().min(1),
  suites: z.union([z.literal('all'), oneOrMore(z.string())]),
  except: z.array(z.string()).default([]),
  brief: z.boolean().default(false),
  flavours: flavours.default(['plain']),
  matrix: z.strictObject({ cover: z.enum(COVERS), only: someFactors.default({}) }).optional(),
  for: duration.optional(),
});

const plansFile = z.strictObject({
  factors,
  impossible: z.array(impossible),
  plans: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/), plan),
});

export interface Plan {
  readonly name: string;
  readonly description: string;
  readonly suites: 'all' | readonly string[];
  /** Those of all suites that are left out. */
  readonly except: readonly string[];
  /** Leave out cases that differ from others of their suite in one choice. */
  readonly brief: boolean;
  readonly flavours: Factors['flavour'];
  /** What the suite "matrix" tests; without it that suite is left out. */
  readonly matrix: { readonly cover: Cover; readonly factors: Factors } | undefined;
  /** Repeated with other seeds for so long. */
  readonly forMs: number | undefined;
}

export interface Plans {
  readonly factors: Factors;
  readonly impossible: readonly Impossible[];
  readonly plans: readonly Plan[];
}

export function parsePlans(text: string): Plans {
  const result = plansFile.safeParse(parseYaml(text));
  if (!result.success) {
    const remedy = `Correct ${FILE}.`;
    throw new RigError('usage', `${FILE} is not valid:\n${z.prettifyError(result.error)}`, { remedy });
  }
  const { factors, impossible } = result.data;
  const plans = Object.entries(result.data.plans).map(([name, { matrix, for: forMs, ...plan }]): Plan => ({
    name,
    ...plan,
    forMs,
    matrix: matrix && { cover: matrix.cover, factors: narrowed(factors, matrix.only) },
  }));
  return { factors, impossible, plans };
}

export async function loadPlans(): Promise<Plans> {
  return parsePlans(await readFile(repositoryPath(FILE), 'utf8'));
}

export function planNamed({ plans }: Plans, name: string): Plan {
  const found = plans.find((plan) => plan.name === name);
  if (found) return found;
  throw new RigError('usage', `There is no plan named ${name}.`, {
    remedy: whichThereAre(
      name,
      'plans',
      plans.map((plan) => plan.name),
    ),
  });
}

/** Some of the values, in the order of all of them. */
export function narrowed(all: Factors, only: z.output<typeof someFactors>): Factors {
  const narrow = <T>(values: readonly [T, ...T[]], wanted: readonly T[] | undefined): [T, ...T[]] => {
    const [first = values[0], ...rest] = values.filter((value) => wanted?.includes(value) ?? true);
    return [first, ...rest];
  };
  return {
    machine: narrow(all.machine, only.machine),
    dmaBits: narrow(all.dmaBits, only.dmaBits),
    backend: narrow(all.backend, only.backend),
    caching: narrow(all.caching, only.caching),
    flavour: narrow(all.flavour, only.flavour),
  };
}
