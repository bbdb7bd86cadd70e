import { resolve } from 'node:path'
import type { Rule } from '@fastkeep/options'
import { systemCode, tlsContextError } from '../errors.js'
import { keptSecrets } from './kept-secrets.js'
import { readRegularFile, UnfitFile } from './regular-file.js'

/** A file path, or PEM text (a string with a `-----BEGIN` line), or the bytes of PEM text. */
export type PemSource = string | Uint8Array

export const pemSource: Rule = {
  expected: 'a file path, PEM text, or a Buffer of PEM text',
  accepts: value => (typeof value === 'string' || value instanceof Uint8Array) && value.length > 0,
}

export interface PemBlock {
  /** Such as `CERTIFICATE`. */
  readonly label: string
  /** From its BEGIN to its END line. */
  readonly pem: string
}

/** The bytes of a source, and what to call it in an error. */
export interface ReadSource {
  readonly bytes: Uint8Array
  readonly name: string
  /** Absolute, where it is a file. */
  readonly path: string | undefined
  /** Of a file that this process has read itself. */
  readonly mode: number | undefined
}

export function pemBlocks (text: string): PemBlock[] {
  return [...text.matchAll(/-----BEGIN ([A-Z0-9. ]+)-----[^]*?-----END \1-----/g)]
    .map(([pem, label = '']) => ({ label, pem }))
}

/** The DER in a block. */
export function derOf ({ pem }: PemBlock): Buffer {
  return Buffer.from(pem.replaceAll(/-----.*-----/g, ''), 'base64')
}

export function pemOf (label: string, der: Uint8Array): string {
  const lines = Buffer.from(der).toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

/** @param option how the option is called in an error, such as `cert` or `names["a.test"].key` */
export function readSource (source: PemSource, option: string, maxMebibytes = 1): ReadSource {
  if (typeof source !== 'string') return { bytes: source, name: 'the given Buffer', path: undefined, mode: undefined }
  if (source.includes('-----BEGIN')) return { bytes: Buffer.from(source), name: 'the given text', path: undefined, mode: undefined }
  const path = resolve(source)
  const kept = keptSecrets()?.file(path)
  if (kept !== undefined) return { bytes: kept, name: path, path, mode: undefined }
  try {
    const { bytes, stats } = readRegularFile(path, { maxMebibytes })
    return { bytes, name: path, path, mode: stats.mode }
  } catch (error) {
    throw failureOf(error, source, path, option)
  }
}

function failureOf (error: unknown, source: string, path: string, option: string): Error {
  if (error instanceof UnfitFile) {
    return tlsContextError('FILE_NOT_READABLE', `option "${option}": ${path} ${error.message}. Give the path of a PEM file, or PEM text`)
  }
  const code = systemCode(error)
  // No path has line breaks or is that long.
  if (/[\r\n\0]/.test(source) || code === 'ENAMETOOLONG') {
    return notPem(option, 'the given text', /key$/.test(option) ? 'PRIVATE KEY' : 'CERTIFICATE', source)
  }
  const shown = mayBeKeyMaterial(source) ? 'the given text (not shown: it may be a key without its PEM lines)' : path
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return tlsContextError('FILE_NOT_FOUND', `option "${option}": no such file: ${shown} (${code}). Give the path of a PEM file, or PEM text with its "-----BEGIN" and "-----END" lines`)
  }
  return tlsContextError('FILE_NOT_READABLE', `option "${option}": cannot read ${shown} (${code}). Give the user that runs this process the right to read it`)
}

/** A key that lost its PEM lines is taken for a path, which the error would show. A path can look like that too. */
function mayBeKeyMaterial (source: string): boolean {
  return /[A-Za-z0-9+/=]{60,}/.test(source)
}

/** What a source holds instead of a block with the label wanted. */
export function notPem (option: string, name: string, label: string, text: string): Error {
  const labels = pemBlocks(text).map(block => block.label)
  const found = labels.length === 0 ? 'no PEM at all' : `only ${labels.join(', ')}`
  const fault = text.trim() === ''
    ? 'is empty'
    : `holds ${found}. Convert DER with openssl, give PKCS#12 as option "pfx", and see that "cert" and "key" are not swapped`
  return tlsContextError('NOT_PEM', `option "${option}": ${name} must hold a PEM block "-----BEGIN ${label}-----" and ${fault}`)
}
