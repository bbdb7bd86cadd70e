import type { IncomingMessage, ServerResponse } from 'node:http'

export type DirectiveFunction = (req: IncomingMessage, res: ServerResponse) => string

export type DirectiveValue = string | DirectiveFunction

/** Leaves `default-src` out, which is refused otherwise. */
export const dangerouslyDisableDefaultSrc: unique symbol = Symbol('dangerouslyDisableDefaultSrc')

/** As helmet 8.3 has them: a string or an iterable of strings and functions, `null` to leave a default out. */
export type Directives =
  Readonly<Record<string, string | Iterable<DirectiveValue> | typeof dangerouslyDisableDefaultSrc | null | undefined>>

export interface ContentSecurityPolicyOptions {
  readonly useDefaults?: boolean
  readonly directives?: Directives
  readonly reportOnly?: boolean
}

type NextFunction = (error?: Error) => void
type Middleware = (req: IncomingMessage, res: ServerResponse, next: NextFunction) => void

const NAME = 'Content-Security-Policy'

/** Words that mean something else without their quotes. */
const UNQUOTED = /^(none|self|strict-dynamic|report-sample|inline-speculation-rules|unsafe-inline|unsafe-eval|unsafe-hashes|wasm-unsafe-eval|(nonce|sha256|sha384|sha512)-[^]*)$/

export function getDefaultDirectives (): Record<string, DirectiveValue[]> {
  return {
    'default-src': ["'self'"],
    'base-uri': ["'self'"],
    'font-src': ["'self'", 'https:', 'data:'],
    'form-action': ["'self'"],
    'frame-ancestors': ["'self'"],
    'img-src': ["'self'", 'data:'],
    'object-src': ["'none'"],
    'script-src': ["'self'"],
    'script-src-attr': ["'none'"],
    'style-src': ["'self'", 'https:', "'unsafe-inline'"],
    'upgrade-insecure-requests': [],
  }
}

/** A policy that was checked; the value is a string where no function has a say in it. */
export interface CompiledPolicy {
  readonly name: string
  readonly value: string | ((req: IncomingMessage, res: ServerResponse) => string)
}

/** @throws Error with the messages of helmet */
export function compileContentSecurityPolicy (options: ContentSecurityPolicyOptions = {}): CompiledPolicy {
  const directives = [...resolve(options)]
  const isStatic = directives.every(([, values]) => values.every(value => typeof value === 'string'))
  return {
    name: options.reportOnly === true ? `${NAME}-Report-Only` : NAME,
    value: isStatic
      ? directives.map(([name, values]) => [name, ...values].join(' ')).join(';')
      : (req, res) => directives.map(([name, values]) => render(name, values, req, res)).join(';'),
  }
}

function resolve ({ useDefaults = true, directives = {} }: ContentSecurityPolicyOptions): Map<string, readonly DirectiveValue[]> {
  const result = new Map<string, readonly DirectiveValue[]>(useDefaults ? Object.entries(getDefaultDirectives()) : [])
  const seen = new Set<string>()
  let mayLackDefaultSrc = false
  for (const [key, given] of Object.entries(directives)) {
    const name = directiveName(key)
    if (seen.has(name)) throw new Error(`${NAME} received a duplicate directive "${name}"`)
    seen.add(name)
    if (given === null || isDisabling(given)) {
      checkRemoval(name, given)
      mayLackDefaultSrc ||= given !== null
      result.delete(name)
      continue
    }
    if (given === undefined || !isGiven(given)) throw invalidValue(name)
    const values = typeof given === 'string' ? [given] : [...given]
    for (const value of values) {
      if (typeof value !== 'string') continue
      if (/[;,]/.test(value)) throw invalidValue(name)
      checkQuotes(name, value)
    }
    result.set(name, values)
  }
  if (result.size === 0) throw new Error(`${NAME} has no directives. Either set some or disable the header`)
  if (!result.has('default-src') && !mayLackDefaultSrc) {
    throw new Error(`${NAME} needs a default-src but none was provided. If you really want to disable it, set it to \`contentSecurityPolicy.dangerouslyDisableDefaultSrc\`.`)
  }
  return result
}

function directiveName (key: string): string {
  if (!/^[a-z](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/.test(key)) throw new Error(`${NAME} received an invalid directive name ${JSON.stringify(key)}`)
  return key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

function checkRemoval (name: string, given: null | symbol): void {
  if (given === null && name === 'default-src') {
    throw new Error(`${NAME} needs a default-src but it was set to \`null\`. If you really want to disable it, set it to \`contentSecurityPolicy.dangerouslyDisableDefaultSrc\`.`)
  }
  if (given !== null && name !== 'default-src') {
    throw new Error(`${NAME}: tried to disable "${name}" as if it were default-src; simply omit the key`)
  }
}

/** helmet's own symbol means the same, for those who still take it from there. */
function isDisabling (given: unknown): given is typeof dangerouslyDisableDefaultSrc {
  return typeof given === 'symbol' && given.description === dangerouslyDisableDefaultSrc.description
}

function isGiven (given: unknown): boolean {
  return typeof given === 'string' || Boolean(given)
}

function checkQuotes (name: string, value: string): void {
  if (UNQUOTED.test(value)) {
    throw new Error(`${NAME} received an invalid directive value for "${name}". ${JSON.stringify(value)} should be quoted`)
  }
}

function invalidValue (name: string): Error {
  return new Error(`${NAME} received an invalid directive value for "${name}"`)
}

function render (name: string, values: readonly DirectiveValue[], req: IncomingMessage, res: ServerResponse): string {
  const words = values.map(value => {
    if (typeof value !== 'function') return value
    const word = value(req, res)
    checkQuotes(name, word)
    return word
  })
  const text = [name, ...words].join(' ')
  if (/[;,]/.test(text)) throw invalidValue(name)
  return text
}

/** helmet's middleware for this header, with its two static members. */
export const contentSecurityPolicy = Object.assign(
  (options?: ContentSecurityPolicyOptions): Middleware => {
    const { name, value } = compileContentSecurityPolicy(options)
    return (req, res, next) => {
      try {
        res.setHeader(name, typeof value === 'string' ? value : value(req, res))
      } catch (error) {
        next(error instanceof Error ? error : new Error(String(error)))
        return
      }
      next()
    }
  },
  { getDefaultDirectives, dangerouslyDisableDefaultSrc }
)
