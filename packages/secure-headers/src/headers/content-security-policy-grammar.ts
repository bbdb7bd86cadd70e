import { nearest } from '@fastkeep/options'

/**
 * Stands for the response's own nonce in any directive that takes nonces: `scriptSrc: [NONCE, "'strict-dynamic'"]`.
 * A policy that has it makes a nonce for each response; without it the nonce goes where it is most needed, once read.
 */
export const NONCE = "'nonce'"

/** What one directive of a Content-Security-Policy accepts. */
interface DirectiveGrammar {
  /** Words in single quotes, quotes included. */
  readonly keywords: readonly string[]
  /** Words without quotes, and what to call them in an error. */
  readonly words?: readonly [pattern: RegExp, description: string]
  readonly takesHashes?: boolean
  readonly takesNonces?: boolean
  readonly maxWords?: number
  /** The directive works without any word. */
  readonly mayBeEmpty?: boolean
}

// host-source and scheme-source of https://w3c.github.io/webappsec-csp/#framework-directive-source-list,
// and path-absolute of RFC 3986 without what would end the directive.
const HOST = /^([a-z][a-z0-9+.-]*:\/\/)?(\*|(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*)(:(\d{1,5}|\*))?(\/(?!\/)([\w\-.~!$&()*+=:@/]|%[0-9a-f]{2})*)?$/i
const SCHEME = /^[a-z][a-z0-9+.-]*:$/i
const HOSTS: DirectiveGrammar['words'] =
  [new RegExp(`${HOST.source}|${SCHEME.source}`, 'i'), 'a host such as "https://cdn.example" or a scheme such as "data:"']

const FETCH_KEYWORDS = ["'none'", "'self'", "'unsafe-inline'", "'unsafe-eval'", "'strict-dynamic'", "'unsafe-hashes'",
  "'report-sample'", "'wasm-unsafe-eval'", "'trusted-types-eval'", "'report-sha256'", "'report-sha384'",
  "'report-sha512'", "'unsafe-webtransport-hashes'", "'inline-speculation-rules'"]

const FETCH: DirectiveGrammar = { keywords: FETCH_KEYWORDS, words: HOSTS, takesHashes: true, takesNonces: true }

const SANDBOX_FLAGS = ['downloads', 'forms', 'modals', 'orientation-lock', 'pointer-lock', 'popups',
  'popups-to-escape-sandbox', 'presentation', 'same-origin', 'scripts', 'storage-access-by-user-activation',
  'top-navigation', 'top-navigation-by-user-activation', 'top-navigation-to-custom-protocols']

/** The directives of CSP3 and its extensions (w3c/webappsec-csp 2026-04, @mdn/browser-compat-data 8.1.9). */
export const DIRECTIVES = {
  'default-src': FETCH,
  'script-src': FETCH,
  'script-src-elem': FETCH,
  'script-src-attr': FETCH,
  'style-src': FETCH,
  'style-src-elem': FETCH,
  'style-src-attr': FETCH,
  'img-src': FETCH,
  'font-src': FETCH,
  'connect-src': FETCH,
  'media-src': FETCH,
  'manifest-src': FETCH,
  'worker-src': FETCH,
  'child-src': FETCH,
  'frame-src': FETCH,
  'fenced-frame-src': FETCH,
  'object-src': FETCH,
  'base-uri': { keywords: ["'none'", "'self'"], words: HOSTS },
  'form-action': { keywords: ["'none'", "'self'", "'unsafe-allow-redirects'"], words: HOSTS },
  'frame-ancestors': { keywords: ["'none'", "'self'"], words: HOSTS },
  sandbox: {
    keywords: [],
    words: [new RegExp(`^allow-(${SANDBOX_FLAGS.join('|')})$`), 'a sandbox flag such as "allow-forms"'],
    mayBeEmpty: true,
  },
  'trusted-types': {
    keywords: ["'none'", "'allow-duplicates'"],
    words: [/^(\*|[a-z0-9\-#=_/@.%]+)$/i, 'the name of a policy'],
  },
  'require-trusted-types-for': { keywords: ["'script'"] },
  webrtc: { keywords: ["'allow'", "'block'"], maxWords: 1 },
  'report-to': { keywords: [], words: [/^[\w.-]+$/, 'the name of a reporting endpoint'], maxWords: 1 },
  'report-uri': { keywords: [], words: [/^(https?:\/\/|\/)\S+$/i, 'a URL or a path'] },
  'upgrade-insecure-requests': { keywords: [], maxWords: 0, mayBeEmpty: true },
} as const satisfies Record<string, DirectiveGrammar>

export type CspDirective = keyof typeof DIRECTIVES

/** What CSP once had, and what to do instead. */
export const GONE_DIRECTIVES: ReadonlyMap<string, string> = new Map([
  ['block-all-mixed-content', 'browsers block or upgrade mixed content by themselves; use upgrade-insecure-requests'],
  ['prefetch-src', 'no browser has it any more; default-src holds for prefetches'],
  ['plugin-types', 'there are no plugins any more; use object-src \'none\''],
  ['referrer', 'use the option referrerPolicy'],
  ['reflected-xss', 'no browser has it any more; a script-src without \'unsafe-inline\' does its work'],
  ['require-sri-for', 'use the option integrityPolicy'],
  ['navigate-to', 'it was never shipped; use form-action'],
  ['disown-opener', 'use the option crossOriginOpenerPolicy'],
])

/** What holds in place of a fetch directive that is not given, the nearest first: https://w3c.github.io/webappsec-csp/#directive-fallback-list */
export const FALLBACKS: { readonly [Name in CspDirective]?: readonly CspDirective[] } = {
  'script-src': ['default-src'],
  'script-src-elem': ['script-src', 'default-src'],
  'script-src-attr': ['script-src', 'default-src'],
  'style-src': ['default-src'],
  'style-src-elem': ['style-src', 'default-src'],
  'style-src-attr': ['style-src', 'default-src'],
  'worker-src': ['child-src', 'script-src', 'default-src'],
  'frame-src': ['child-src', 'default-src'],
  'fenced-frame-src': ['frame-src', 'child-src', 'default-src'],
  'child-src': ['default-src'],
  'connect-src': ['default-src'],
  'font-src': ['default-src'],
  'img-src': ['default-src'],
  'manifest-src': ['default-src'],
  'media-src': ['default-src'],
  'object-src': ['default-src'],
}

const FIXED_NONCE = /^'nonce-[a-z0-9+/_-]+={0,2}'$/i

/**
 * What is wrong with a directive's list of sources, or `undefined` when CSP3's grammar takes it.
 *
 * @param isForOneResponse a nonce may be among them, since the list is made anew for each response
 */
export function sourceListFault (
  directive: CspDirective,
  sources: readonly string[],
  isForOneResponse = false
): string | undefined {
  const grammar: DirectiveGrammar = DIRECTIVES[directive]
  if (sources.length === 0 && grammar.mayBeEmpty !== true) {
    return `${directive} is empty: ` +
      (grammar.keywords.includes("'none'") ? 'give "\'none\'" to allow nothing, or null to leave it out' : 'null leaves it out')
  }
  if (sources.length > (grammar.maxWords ?? Infinity)) {
    return `${directive} takes ${grammar.maxWords === 0 ? 'no value: give []' : `no more than ${grammar.maxWords}`}`
  }
  if (sources.length > 1 && sources.includes("'none'")) {
    return `${directive} has 'none' beside other sources, where browsers ignore it: 'none' must stand alone`
  }
  for (const source of sources) {
    if (isForOneResponse && grammar.takesNonces === true && FIXED_NONCE.test(source)) continue
    const fault = sourceFault(grammar, source)
    if (fault !== undefined) return `${directive} cannot have ${JSON.stringify(source)}: ${fault}`
  }
  return undefined
}

const HASH = /^'sha(256|384|512)-[a-z0-9+/_-]+={0,2}'$/i

function sourceFault (grammar: DirectiveGrammar, source: string): string | undefined {
  if (grammar.keywords.includes(source)) return undefined
  if (source === NONCE) return grammar.takesNonces === true ? undefined : 'this directive takes no nonces'
  const fallen = equalsSignFault(source)
  if (fallen !== undefined) return fallen
  if (!/^[\x21-\x7e]+$/.test(source)) return 'an entry is one word of ASCII letters, without spaces or line breaks'
  if (/[;,]/.test(source)) return 'a ";" or "," would end the directive or the policy; percent-encode it (%3B, %2C)'
  if (/^'?nonce-/i.test(source)) return 'a nonce must differ in each response: read reply.cspNonce, or write "\'nonce\'", which stands for it'
  if (grammar.takesHashes === true && HASH.test(source)) return undefined
  if (/^(sha256|sha384|sha512)-/i.test(source)) return `a hash stands in single quotes: "'${source}'"`
  if (grammar.keywords.includes(`'${source.toLowerCase()}'`)) return `without single quotes it is a host name; write "'${source.toLowerCase()}'"`
  if (/['"]/.test(source)) return keywordAdvice(grammar, source)
  if (grammar.words === HOSTS && isProbablyNoHost(source)) return bareWordAdvice(grammar, source)
  if (grammar.words === undefined) return keywordAdvice(grammar, source)
  const [pattern, description] = grammar.words
  return pattern.test(source) ? undefined : `it is not ${description}`
}

const SCHEMES: ReadonlySet<string> = new Set(['http', 'https', 'ws', 'wss', 'data', 'blob', 'mediastream', 'filesystem'])

/** A bare word is the name of a host to CSP, but hardly to whom wrote the name of a scheme or part of a keyword. */
function isProbablyNoHost (source: string): boolean {
  return SCHEMES.has(source.toLowerCase()) || /^(unsafe|strict|wasm|report|inline|trusted-types)-[a-z0-9-]*$/i.test(source)
}

function bareWordAdvice (grammar: DirectiveGrammar, source: string): string {
  if (SCHEMES.has(source.toLowerCase())) return `without a colon it is a host name; write "${source}:"`
  return `${keywordAdvice(grammar, source)} (a host of this name is given with its scheme, as "https://${source}")`
}

function keywordAdvice ({ keywords, words }: DirectiveGrammar, source: string): string {
  const bare = source.replace(/['"]/g, '')
  // A bare word is a host too, but in quotes it is rather a misspelt keyword.
  const isPlainlyUnquoted = keywords.length === 0 || /[.:/*]/.test(bare)
  if (isPlainlyUnquoted && words?.[0].test(bare) === true) return `write ${bare} without quotes`
  if (keywords.length === 0) return 'this directive has no quoted keywords'
  const meant = nearest(`'${bare}'`, keywords)
  return meant === undefined ? `the keywords here are ${keywords.join(', ')}` : `did you mean "${meant}"?`
}

/**
 * The mistake of CherryPy's documentation, `default-src='self'`: a browser takes all of it for the name of one unknown
 * directive, and the page has no policy at all.
 */
export function equalsSignFault (text: string): string | undefined {
  const match = /^\s*([a-z-]+)\s*=\s*['"]?([a-z-]*)/i.exec(text)
  if (match === null || !(Object.hasOwn(DIRECTIVES, match[1] as string) || (match[1] as string).endsWith('-src'))) return undefined
  return `a directive and its sources are parted by a space, not by "=": browsers ignore ${JSON.stringify(text)} whole, ` +
    `which leaves the page without a policy; write { directives: { '${match[1]}': ["'${match[2] || 'self'}'"] } }`
}
