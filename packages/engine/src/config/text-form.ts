/** How a value is written where there is only text: in the environment, in flags, in a table. */
export interface TextForm {
  /** Completes the sentence "must be ..." where it is not the rule's own `expected`. */
  readonly expected?: string
  /** The value, or `undefined` for a text that is not of this form. */
  parse (text: string): unknown
  /** The text for a value: what `parse` takes. */
  format (value: unknown): string
}

export const plain: TextForm = { parse: text => text, format: String }

/** Decimal digits alone: no sign, no leading zero, no exponent, no white space. */
export const wholeNumber: TextForm = {
  parse: text => /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined,
  format: String,
}

/** Permission bits as umask(1) and chmod(1) write them. */
export const octal: TextForm = {
  expected: 'three octal digits from 000 to 777, with or without a zero before them',
  parse: text => /^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : undefined,
  format: value => (value as number).toString(8).padStart(3, '0'),
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['1', true], ['true', true], ['yes', true], ['on', true],
  ['0', false], ['false', false], ['no', false], ['off', false],
])

export const truth: TextForm = {
  expected: '1, true, yes, on, 0, false, no or off',
  parse: text => BOOLEANS.get(text.toLowerCase()),
  format: String,
}

/** Entries separated by commas, none of them empty. */
export function list (expected: string): TextForm {
  return {
    expected: `${expected}, separated by commas`,
    parse: text => {
      const entries = text.split(',').map(entry => entry.trim())
      return entries.includes('') ? undefined : entries
    },
    format: value => [value].flat().join(','),
  }
}

/** One of some words. */
export function choice (words: readonly string[]): TextForm {
  return { ...plain, expected: words.join(', ') }
}

/** The word `none` for `false`, anything else in the other form. */
export function noneOr (form: TextForm): TextForm {
  return {
    ...form,
    parse: text => text === 'none' ? false : form.parse(text),
    format: value => value === false ? 'none' : form.format(value),
  }
}
