/// <reference lib="dom" />
/**
 * The HTML report in a real Chromium, where there is one (Debian's package "chromium"): what only a layout can tell.
 */
import { existsSync } from 'node:fs';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { htmlReport } from '../../../src/report/html/html-report.ts';
import { htmlTrend } from '../../../src/report/html/html-trend.ts';
import { trendOf } from '../../../src/report/past/trend.ts';
import { SAMPLE_REPORT } from './sample-report.ts';

const CHROMIUM = '/usr/bin/chromium';
/** A browser starts in a second, or in a minute where all CPUs are busy. */
const PATIENCE_MS = 180_000;

interface View {
  readonly colorScheme: 'light' | 'dark';
  readonly width: number;
}

describe.runIf(existsSync(CHROMIUM))('the HTML report in Chromium', { timeout: PATIENCE_MS }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'], timeout: PATIENCE_MS });
  }, PATIENCE_MS);
  afterAll(() => browser.close());

  /** All unfolded, so that all is measured. */
  const REPORT = htmlReport(SAMPLE_REPORT, '/work').replaceAll('<details', '<details open');
  const runs = Array.from({ length: 30 }, (_, index) => ({ id: 30 - index, startedAt: '', report: SAMPLE_REPORT }));
  const PAGES = { report: REPORT, trend: htmlTrend(trendOf(runs)) };

  async function open({ colorScheme, width }: View, content = REPORT): Promise<Page> {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
    page.setDefaultTimeout(PATIENCE_MS);
    await page.setContent(content);
    return page;
  }

  test.for([
    { colorScheme: 'light', width: 1200 },
    { colorScheme: 'dark', width: 1200 },
    { colorScheme: 'dark', width: 390 },
    { colorScheme: 'light', width: 320 },
  ] as const)('$colorScheme at $width pixels fits, and can be read', async (view) => {
    for (const [name, content] of Object.entries(PAGES)) {
      const page = await open(view, content);
      const { overflow, faint, small } = await page.evaluate(measureReadability);
      await page.close();
      expect(overflow, `${name}: pixels to scroll sideways`).toBe(0);
      expect(faint, `${name}: text with less contrast than WCAG AA asks for`).toEqual([]);
      expect(small, `${name}: text below 12 pixels`).toEqual([]);
    }
  });

  test('of the trend shows on request only what failed at some time', async () => {
    const page = await open({ colorScheme: 'light', width: 800 }, PAGES.trend);
    const shown = (): Promise<number> => page.locator('.trend tbody tr:visible').count();
    expect(await shown()).toBe(6);
    await page.getByLabel('what failed at some time').check();
    expect(await shown()).toBe(2);
    await page.close();
  });

  test('shows on request only what did not pass', async () => {
    const page = await open({ colorScheme: 'light', width: 800 });
    const shown = (): Promise<number> => page.locator('.test:visible').count();
    expect(await shown()).toBe(6);
    await page.getByLabel('what did not pass').check();
    expect(await shown()).toBe(2);
    await page.close();
  });

  test('draws every series within its plot', async () => {
    const page = await open({ colorScheme: 'light', width: 390 });
    const outside = await page.evaluate(
      () =>
        [...document.querySelectorAll('polyline')].filter((line) => {
          const [inner, outer] = [line.getBoundingClientRect(), line.closest('.plot')?.getBoundingClientRect()];
          return !outer || inner.width < 100 || inner.top < outer.top - 3 || inner.bottom > outer.bottom + 3;
        }).length,
    );
    expect(await page.locator('polyline').count()).toBe(7);
    expect(outside).toBe(0);
    await page.close();
  });
});

/** Runs in the page. */
function measureReadability(): { overflow: number; faint: string[]; small: string[] } {
  type Colour = [number, number, number, number];
  const colour = (text: string): Colour => {
    const [r = 0, g = 0, b = 0, a = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
    return [r, g, b, a];
  };
  const luminance = ([r, g, b]: Colour): number => {
    const [x = 0, y = 0, z = 0] = [r, g, b].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (element: Element | null): Colour => {
    if (!element) return [255, 255, 255, 1];
    const own = colour(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : background(element.parentElement);
  };
  const faint: string[] = [];
  const small: string[] = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const text = node.textContent?.trim() ?? '';
    const element = node.parentElement;
    if (text === '' || !element) continue;
    const style = getComputedStyle(element);
    const [light = 0, dark = 0] = [luminance(colour(style.color)), luminance(background(element))].sort(
      (a, b) => b - a,
    );
    if ((light + 0.05) / (dark + 0.05) < 4.5) faint.push(text);
    if (parseFloat(style.fontSize) < 12) small.push(text);
  }
  const { scrollWidth, clientWidth } = document.documentElement;
  return { overflow: Math.max(0, scrollWidth - clientWidth), faint, small };
}
