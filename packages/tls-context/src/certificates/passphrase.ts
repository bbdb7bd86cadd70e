import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Rule } from '@fastkeep/options'
import { askOnTerminal } from '@fastkeep/terminal'
import { systemCode, tlsContextError } from '../errors.js'
import { keptSecrets } from './kept-secrets.js'
import { readRegularFile } from './regular-file.js'

/**
 * A passphrase, or where to get it: the first line of a file, of an open descriptor that is read once to its end, or of
 * what is typed on the terminal when the process starts.
 */
export type Passphrase = string | { readonly file: string } | { readonly descriptor: number } | { readonly prompt: true }

export const passphraseRule: Rule = {
  expected: 'a string that is not empty, { file: path }, { descriptor: number } or { prompt: true }',
  isSecret: true,
  accepts: value => (typeof value === 'string' && value !== '') || isReference(value),
}

const references: Readonly<Record<string, (content: unknown) => boolean>> = {
  file: content => typeof content === 'string' && content !== '',
  descriptor: content => Number.isInteger(content) && (content as number) >= 0,
  prompt: content => content === true,
}

function isReference (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const [[kind, content] = [], ...others] = Object.entries(value)
  if (others.length > 0) return false
  return kind !== undefined && Object.hasOwn(references, kind) && references[kind]?.(content) === true
}

/** The file that a passphrase is read from, absolute. */
export function passphraseFile (passphrase: Passphrase | undefined): string | undefined {
  return typeof passphrase === 'object' && 'file' in passphrase ? resolve(passphrase.file) : undefined
}

/** What was asked or read from a descriptor cannot be had a second time, at a reload. */
const remembered = new Map<string, string>()

/** @param what what it opens, for the question and for errors, such as the path of the key */
export function resolvePassphrase (passphrase: Passphrase, option: string, what: string): string {
  if (typeof passphrase === 'string') return passphrase
  if ('file' in passphrase) return firstLine(fromFile(resolve(passphrase.file), option), option)
  const id = 'descriptor' in passphrase ? `descriptor ${passphrase.descriptor}` : what
  const known = remembered.get(id)
  if (known !== undefined) return known
  const answer = 'descriptor' in passphrase ? firstLine(fromDescriptor(passphrase.descriptor, option), option) : asked(what, option)
  remembered.set(id, answer)
  return answer
}

function fromFile (path: string, option: string): string {
  try {
    return keptSecrets()?.file(path)?.toString() ?? readRegularFile(path).text
  } catch (error) {
    throw tlsContextError('PASSPHRASE_MISSING', `option "${option}.file": cannot read ${path} (${systemCode(error)}). Give the path of a file whose first line is the passphrase`)
  }
}

function fromDescriptor (descriptor: number, option: string): string {
  try {
    return readFileSync(descriptor, 'utf8')
  } catch (error) {
    throw tlsContextError('PASSPHRASE_MISSING', `option "${option}.descriptor": cannot read descriptor ${descriptor} (${systemCode(error)}). Open it for reading when this process is started`)
  }
}

function firstLine (text: string, option: string): string {
  const [line = ''] = text.split(/\r?\n/, 1)
  if (line === '') throw tlsContextError('PASSPHRASE_MISSING', `option "${option}": its first line is empty, and the passphrase is to stand there`)
  return line
}

function asked (what: string, option: string): string {
  const secrets = keptSecrets()
  const answer = secrets === undefined ? askOnTerminal(`Passphrase of ${what}: `) : secrets.askPassphrase(what)
  if (answer === undefined || answer === '') {
    throw tlsContextError('PASSPHRASE_MISSING', `option "${option}": there is no terminal to ask for the passphrase of ${what} on, or none was typed. Start this process from a terminal; with workers or as a daemon by "fastkeep start --ask-passphrase ${what}"; or give { file }`)
  }
  return answer
}
