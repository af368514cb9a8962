/** What a mutant has that the code has not: the mistakes that people make in C, and those they make in a kernel. */
import type { Node } from 'web-tree-sitter';

export const OPERATORS = [
  ...(['condition-negated', 'condition-dropped', 'bound-off-by-one', 'constant', 'error-lost'] as const),
  ...(['call-removed', 'statement-removed', 'statements-swapped'] as const),
  ...(['get-missing', 'put-missing', 'lock-missing', 'unlock-missing'] as const),
  ...(['folio-put-missing', 'wait-missing', 'gfp-wrong'] as const),
] as const;
export type Operator = (typeof OPERATORS)[number];

/** One place of the text, and what stands there instead. */
export interface Edit {
  readonly operator: Operator;
  readonly node: Node;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What nobody's test has to notice: messages, assertions, hints to the scheduler. */
const NOISE =
  /^_*(?:pr_|dev_(?:emerg|crit|err|warn|info|dbg|notice)|drm_(?:emerg|crit|err|warn|info|dbg|notice)|printk|trace_|kunit_|WARN|BUG|BUILD_BUG|static_assert|might_|cond_resched|LIST_HEAD|DEFINE_|DECLARE_|lockdep_|(?:dma_resv_)?assert_|VM_|MODULE_|EXPORT_)/;

/** All edits of a function's body. What the grammar could not read stays as it is. */
export function editsOf(node: Node): Edit[] {
  if (node.type === 'call_expression' && NOISE.test(calleeOf(node))) return [];
  const own = node.hasError ? [] : (EDITS[node.type]?.(node) ?? []);
  return [...own, ...node.children.flatMap(editsOf)];
}

const EDITS: Readonly<Record<string, (node: Node) => Edit[]>> = {
  if_statement: (node) => [...negated(node), ...dropped(node)],
  while_statement: negated,
  conditional_expression: negated,
  binary_expression: (node) => [...offByOne(node), ...operandDropped(node)],
  number_literal: nextNumber,
  true: (node) => [replaced('constant', node, 'false')],
  false: (node) => [replaced('constant', node, 'true')],
  return_statement: (node) => errorLost(node.namedChildren[0]),
  assignment_expression: (node) => errorLost(node.childForFieldName('right'), ERROR_CODE),
  expression_statement: (node) => [...removed(node), ...swapped(node)],
  identifier: wrongGfp,
  call_expression: missingWait,
};

function replaced(operator: Operator, node: Node, text: string): Edit {
  return { operator, node, start: node.startIndex, end: node.endIndex, text };
}

/** What is between the brackets of an `if`. */
function conditionOf(node: Node): Node | undefined {
  const condition = node.childForFieldName('condition');
  return condition?.type === 'parenthesized_expression' ? condition.namedChildren[0] : (condition ?? undefined);
}

function negated(node: Node): Edit[] {
  const condition = conditionOf(node);
  if (!condition) return [];
  const inner = condition.type === 'unary_expression' && condition.text.startsWith('!') ? condition.lastChild : null;
  return [replaced('condition-negated', condition, inner?.text ?? `!(${condition.text})`)];
}

function dropped(node: Node): Edit[] {
  const condition = conditionOf(node);
  if (!condition) return [];
  return ['true', 'false'].map((value) => replaced('condition-dropped', condition, value));
}

function operandDropped(node: Node): Edit[] {
  const [left, right] = [node.childForFieldName('left'), node.childForFieldName('right')];
  if (!left || !right || !['&&', '||'].includes(operatorOf(node).text)) return [];
  return [left, right].map((kept) => replaced('condition-dropped', node, kept.text));
}

const NEIGHBOURS: Readonly<Record<string, string>> = { '<': '<=', '<=': '<', '>': '>=', '>=': '>' };

function offByOne(node: Node): Edit[] {
  const sign = operatorOf(node);
  const neighbour = NEIGHBOURS[sign.text];
  return neighbour === undefined ? [] : [replaced('bound-off-by-one', sign, neighbour)];
}

function operatorOf(node: Node): Node {
  return node.childForFieldName('operator') ?? node;
}

function nextNumber(node: Node): Edit[] {
  const [, digits, suffix = ''] = /^(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)$/.exec(node.text) ?? [];
  if (digits === undefined) return [];
  const [prefix = '', base] = /^0x/i.test(digits)
    ? (['0x', 16] as const)
    : /^0\d/.test(digits)
      ? (['0', 8] as const)
      : [];
  const next = BigInt(base === 8 ? `0o${digits}` : digits) + 1n;
  return [replaced('constant', node, `${prefix}${next.toString(base)}${suffix}`)];
}

const ERROR_CODE = /^-E[A-Z0-9]+$/;
const ERROR = /^(?:-E[A-Z0-9]+|ret|err|error|rc|r)$/;

function errorLost(value: Node | null | undefined, error = ERROR): Edit[] {
  if (!value) return [];
  if (error.test(value.text)) return [replaced('error-lost', value, '0')];
  const isPointer = value.type === 'call_expression' && /^ERR_(?:PTR|CAST)$/.test(calleeOf(value));
  return isPointer ? [replaced('error-lost', value, 'NULL')] : [];
}

function calleeOf(call: Node): string {
  return call.childForFieldName('function')?.text ?? '';
}

/** The first that fits names the mutant; the order counts: "folio_put" is a put, and "unlock" a lock. */
const CALLS: readonly (readonly [RegExp, Operator])[] = [
  [/^folio_put|^put_page/, 'folio-put-missing'],
  [/^dma_resv_wait|^dma_fence_wait|^ttm_bo_wait|^wait_for_|^flush_work|^synchronize_/, 'wait-missing'],
  [/unlock|^up_(?:read|write)/, 'unlock-missing'],
  [/lock|^down_(?:read|write)/, 'lock-missing'],
  [/(?:^|_)(?:put|unref|unpin)(?:_|$)/, 'put-missing'],
  [/(?:^|_)(?:get|ref|pin)(?:_|$)/, 'get-missing'],
  [/(?:)/, 'call-removed'],
];

function removed(node: Node): Edit[] {
  const does = node.namedChildren[0];
  if (!does || isNoise(node)) return [];
  const call = does.type === 'call_expression';
  if (!call && !['assignment_expression', 'update_expression'].includes(does.type)) return [];
  const operator = call ? CALLS.find(([name]) => name.test(calleeOf(does)))?.[1] : 'statement-removed';
  return operator === undefined ? [] : [replaced(operator, node, ';')];
}

function isNoise(statement: Node): boolean {
  const does = statement.namedChildren[0];
  return does?.type === 'call_expression' && NOISE.test(calleeOf(does));
}

/** Of two that have nothing in common, or are about two members of the same thing, the order hardly matters. */
function swapped(node: Node): Edit[] {
  const next = node.nextSibling;
  if (node.parent?.type !== 'compound_statement' || next?.type !== 'expression_statement') return [];
  if (next.hasError || isNoise(node) || isNoise(next) || node.text === next.text) return [];
  const both = [node, next].map(({ namedChildren: [does] }) => does?.type === 'call_expression');
  if (!both.includes(true) || !areOrdered(node, next)) return [];
  const between = node.parent.text.slice(
    node.endIndex - node.parent.startIndex,
    next.startIndex - node.parent.startIndex,
  );
  const text = `${next.text}${between}${node.text}`;
  return [{ operator: 'statements-swapped', node, start: node.startIndex, end: next.endIndex, text }];
}

/** Calls that are about more than what they are given. */
const ORDERING = /lock|mb$|wake|signal|complete|queue|fence|flush|sync|wait/;

function areOrdered(one: Node, other: Node): boolean {
  const [ours, theirs] = [placesIn(one), placesIn(other)];
  const within = (inner: string, outer: string): boolean =>
    inner === outer || /^(?:->|[.[])/.test(inner.slice(outer.length));
  const shared = ours.some((a) =>
    theirs.some((b) => (a.startsWith(b) && within(a, b)) || (b.startsWith(a) && within(b, a))),
  );
  if (shared) return true;
  const orders = [one, other].some((node) =>
    node.descendantsOfType('call_expression').some((call) => ORDERING.test(calleeOf(call))),
  );
  const roots = new Set(ours.map(rootOf));
  return orders && theirs.some((place) => roots.has(rootOf(place)));
}

function rootOf(place: string): string {
  return /^\w*/.exec(place)?.[0] ?? '';
}

/** What is read or written, as it is spelled: "a->b.c", not the "a" in it, nor what is called. */
function placesIn(node: Node): string[] {
  if (['field_expression', 'subscript_expression', 'identifier'].includes(node.type)) return [node.text];
  const called = node.type === 'call_expression' ? node.childForFieldName('function') : null;
  return node.namedChildren.filter((child) => child.id !== called?.id).flatMap(placesIn);
}

/** What may sleep where it must not, or gives up where it must not. */
function wrongGfp(node: Node): Edit[] {
  if (!/^GFP_[A-Z_]+$/.test(node.text)) return [];
  return [replaced('gfp-wrong', node, node.text === 'GFP_KERNEL' ? 'GFP_NOWAIT' : 'GFP_KERNEL')];
}

/** Where the result counts, it is that of a wait that was over at once. */
function missingWait(node: Node): Edit[] {
  const callee = calleeOf(node);
  if (node.parent?.type === 'expression_statement' || !/^dma_resv_wait|^dma_fence_wait|^ttm_bo_wait/.test(callee))
    return [];
  return [replaced('wait-missing', node, callee.endsWith('timeout') ? '1' : '0')];
}
