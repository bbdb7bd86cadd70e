import { CONTENT_CLASSES, type ContentClass } from './content-class.js'
import { DEFAULT_ORIGIN, type Origins } from './origins.js'
import { namedFunctions } from './policy.js'
import { headersOf, type Header } from './response-headers.js'
import type { Settings } from './settings.js'

/** One header of the answers of a route. */
export interface DescribedHeader {
  /** In lower case. */
  readonly name: string
  /**
   * As it is sent over TLS to a host name; `'nonce'` stands for the nonce of the response, `tenant()` for what the
   * function of that name gives.
   */
  readonly value: string
  /** Who decided it last: `default`, `preset <name>`, `plugin options`, `scope <prefix>` or `route`. */
  readonly from: string
  /** The same by directive, for the headers that have some. */
  readonly directives?: Readonly<Record<string, string>>
  readonly onlyOverTls: boolean
}

/** The headers of a route's answers, by the class of their content type. */
export type Description = Readonly<Record<ContentClass, readonly DescribedHeader[]>>

/** Which route is meant, as it was added: `url` with the prefix and parameters, e.g. `/users/:id`. */
export interface RouteName {
  readonly url: string
  /** Default `GET`. */
  readonly method?: string | undefined
  readonly constraints?: object | undefined
}

export function routeKey ({ method = 'GET', url, constraints = {} }: RouteName): string {
  const suffix = Object.keys(constraints).length === 0 ? '' : ` ${JSON.stringify(constraints)}`
  return `${method.toUpperCase()} ${url}${suffix}`
}

/** @param settings `undefined` for what sends none of the headers */
export function describeSettings (settings: Settings | undefined): Description {
  const described = CONTENT_CLASSES.map(contentClass =>
    [contentClass, settings === undefined ? [] : describeClass(namedFunctions(settings), contentClass)])
  return Object.fromEntries(described) as Description
}

function describeClass (settings: Settings, contentClass: ContentClass): DescribedHeader[] {
  const overHttp = new Set(headersOf(settings, contentClass, 'plain').map(({ name }) => name))
  return headersOf(settings, contentClass, 'hsts').map(header => {
    const directives = directivesOf(header, contentClass, settings.origins)
    return {
      name: header.name,
      value: header.value,
      from: settings.origins.get(header.option) ?? DEFAULT_ORIGIN,
      ...directives && { directives },
      onlyOverTls: !overHttp.has(header.name),
    }
  })
}

/** How a header's value is parted into what was given one by one. */
const SEPARATORS: Readonly<Record<string, string>> = {
  contentSecurityPolicy: '; ',
  contentSecurityPolicyReportOnly: '; ',
  permissionsPolicy: ', ',
}

function directivesOf ({ option, value }: Header, contentClass: ContentClass, origins: Origins): Record<string, string> | undefined {
  const separator = SEPARATORS[option]
  if (separator === undefined) return undefined
  return Object.fromEntries(value.split(separator).map(part => {
    const name = part.split(/[ =]/, 1)[0] as string
    return [name, directiveOrigin(option, name, contentClass, origins)]
  }))
}

function directiveOrigin (option: string, name: string, contentClass: ContentClass, origins: Origins): string {
  // Data and parts of documents take only this from a document's policy.
  if (contentClass !== 'document' && name !== 'frame-ancestors') return DEFAULT_ORIGIN
  const isReporting = name === 'report-to' || name === 'report-uri'
  return origins.get(`${option}.${name}`) ?? (isReporting ? origins.get('reporting') : undefined) ?? DEFAULT_ORIGIN
}
