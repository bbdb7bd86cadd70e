import type { ContentClass } from '../content-class.js'

/** A header whose value is one of a few words, decided at boot. */
export interface FixedValueHeader<Value extends string> {
  /** In lower case, as Fastify and HTTP/2 write names. */
  readonly name: string
  readonly values: readonly Value[]
  /** `false`: not sent unless asked for. */
  readonly default: Value | false
  /** Which responses carry it. */
  readonly classes: readonly ContentClass[]
  /** Its violations can be reported to an endpoint, which the header names. */
  readonly isReported: boolean
}

/** What the header's option accepts: one of its values, or `false` to send none. */
export type ValueOf<Header> = Header extends FixedValueHeader<infer Value> ? Value | false : never

interface Use {
  readonly classes?: readonly ContentClass[]
  readonly isReported?: boolean
}

/** A header of documents, unless `classes` says more. */
export function fixedValue<const Value extends string> (
  name: string,
  values: readonly Value[],
  defaultValue: Value | false,
  { classes = ['document'], isReported = false }: Use = {}
): FixedValueHeader<Value> {
  return { name, values, default: defaultValue, classes, isReported }
}
