/**
 * What of KCIDB's schema 5.3 the rig writes. It is stricter than KCIDB's own, which allows every field to be missing
 * but the identifiers: a field that is not here is one that the rig never writes.
 */
import { z } from 'zod';

/** The name of this CI system in KCIDB: small letters, digits and underscores are all that it may have. */
export const ORIGIN = 'dgpu_rig';

const origin = z.literal(ORIGIN);
const id = z.string().regex(/^[a-z0-9_]+:.+$/);
/** KCIDB has no place for a zero byte. */
const text = z.string().regex(/^[^\0]*$/);
const path = z.string().regex(/^([\w-]+(\.[\w-]+)*)?$/);
const time = z.iso.datetime({ offset: true });
const misc = z.record(z.string(), z.unknown());

/** As many characters as an excerpt may have. */
export const LONGEST_EXCERPT = 16_384;

const checkout = z.strictObject({
  id,
  origin,
  git_commit_hash: z
    .string()
    .regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/)
    .optional(),
  /** Empty where there are no patches; missing where it is not known. */
  patchset_hash: z
    .string()
    .regex(/^([0-9a-f]{64})?$/)
    .optional(),
  comment: text,
  start_time: time.optional(),
  valid: z.boolean(),
  misc,
});

const status = z.enum(['FAIL', 'ERROR', 'MISS', 'PASS', 'DONE', 'SKIP']);

const build = z.strictObject({
  id,
  origin,
  checkout_id: id,
  comment: text,
  start_time: time.optional(),
  architecture: z.literal('x86_64'),
  config_name: text,
  status,
  misc,
});

const test = z.strictObject({
  id,
  origin,
  build_id: id,
  environment: z.strictObject({ comment: text, misc }),
  path,
  comment: text,
  log_excerpt: text.max(LONGEST_EXCERPT).optional(),
  status,
  number: z.strictObject({ value: z.number(), unit: text }).optional(),
  duration: z.number().optional(),
  misc,
});

const issue = z.strictObject({
  id,
  version: z.int().min(0),
  origin,
  categories: z.array(path),
  report_subject: text,
  culprit: z.strictObject({ code: z.boolean(), tool: z.boolean(), harness: z.boolean() }),
  comment: text,
});

const incident = z.strictObject({
  id,
  origin,
  issue_id: id,
  issue_version: z.int().min(0),
  test_id: id,
  present: z.boolean(),
  comment: text,
});

export const kcidbDocument = z.strictObject({
  version: z.strictObject({ major: z.literal(5), minor: z.literal(3) }),
  checkouts: z.array(checkout),
  builds: z.array(build),
  tests: z.array(test),
  issues: z.array(issue),
  incidents: z.array(incident),
});

export type KcidbDocument = z.infer<typeof kcidbDocument>;
export type KcidbTest = z.infer<typeof test>;
export type KcidbIssue = z.infer<typeof issue>;
