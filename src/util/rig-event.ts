/** What the core tells the world while it works; renderers in `cli` and `report` turn it into text. */

/** Every `step-start` is followed by exactly one `step-end` with the same `id`; steps of different ids may overlap. */
export type RigEvent =
  | { readonly type: 'step-start'; readonly id: string; readonly title: string }
  | { readonly type: 'step-progress'; readonly id: string; readonly detail: string }
  | {
      readonly type: 'step-end';
      readonly id: string;
      /** Skipped: a test that found, once it ran, that it is not for this kernel. */
      readonly outcome: 'done' | 'cached' | 'failed' | 'skipped';
      readonly durationMs: number;
    }
  | { readonly type: 'notice'; readonly text: string };

export type Emit = (event: RigEvent) => void;
