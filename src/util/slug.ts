/** A text for people as a part of a file's name or of a link: it says what it is, but two texts may have the same. */

/** Far below the 255 bytes that a name may have. */
const LONGEST = 80;

export function slug(text: string): string {
  return text
    .replaceAll(/[^\w.-]+/g, '-')
    .slice(0, LONGEST)
    .replaceAll(/^[-.]+|[-.]+$/g, '');
}
