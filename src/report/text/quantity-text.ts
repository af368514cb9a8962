/** Quantities for people. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 2 ** (10 * power);
  const unit = UNITS[power] ?? 'B';
  return `${Number.isInteger(scaled) || scaled >= 100 ? String(Math.round(scaled)) : scaled.toFixed(1)} ${unit}`;
}

/** With thin spaces between thousands. */
export function count(value: number): string {
  const [whole = '', fraction] = String(Math.round(value * 1000) / 1000).split('.');
  const grouped = whole.replaceAll(/\B(?=(\d{3})+$)/g, '\u2009');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** A metric, in the unit that its name implies. */
export function metric(name: string, value: number): string {
  if (/address/i.test(name)) return `0x${value.toString(16)}`;
  if (/bytes/i.test(name)) return bytes(value);
  return name.endsWith('Ms') ? `${count(value)} ms` : count(value);
}
