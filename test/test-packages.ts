/** Packages that the tests need and a run does not. */
import { installPackages, missingHostPackages } from '../src/builds/debian/host-packages.ts';

/** Why these can't be had here; undefined where they can. Root installs what is missing, as for builds. */
export async function whyNotInstalled(packages: readonly string[]): Promise<string | undefined> {
  const missing = await missingHostPackages(packages);
  if (missing.length === 0) return undefined;
  if (process.getuid?.() !== 0) return `not installed: ${missing.join(', ')}`;
  try {
    await installPackages(missing, () => undefined, AbortSignal.timeout(300_000));
    return undefined;
  } catch (error) {
    return `${missing.join(', ')} can't be installed: ${String(error).split('\n')[0] ?? ''}`;
  }
}
