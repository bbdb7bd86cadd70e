import { OPTIONS, type ConfigOption } from '@fastkeep/engine'

type TextForm = NonNullable<ConfigOption['text']>

/** As it is. */
export const plain: TextForm = { parse: text => text, format: String }

/** Separated by commas, as everywhere. */
export const list: TextForm = { parse: text => text.split(',').map(entry => entry.trim()), format: value => [value].flat().join(',') }

/** The form by which a flag is known to take no value. */
export const truth: TextForm = formOf('daemon')

export const wholeNumber: TextForm = formOf('port')

/** One of some words. */
export function choice (words: readonly string[]): TextForm {
  return { ...plain, expected: words.join(', ') }
}

function formOf (path: string): TextForm {
  return OPTIONS[path]?.text ?? plain
}
