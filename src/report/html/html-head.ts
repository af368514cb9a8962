/** The head of each page of the rig: one that needs no network, on a light screen or a dark one. */
import { html, trusted, type Html } from './html.ts';
import { STYLE } from './html-style.ts';

/** `style` is a page's own, beyond what all of them have. */
export function pageHead(title: string, style = ''): Html {
  return html`<head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>${title}</title>
    <style>
      ${trusted(STYLE + style)}
    </style>
  </head>`;
}
