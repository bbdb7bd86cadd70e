import { itemsOf, readObjectIdentifier, readText, type DerValue } from './der-read.js'

/** One attribute of a distinguished name (RFC 5280 section 4.1.2.4). */
export interface NameAttribute {
  /** The short name of RFC 4519 or of mod_ssl, such as `CN`; a dotted identifier where there is none. */
  readonly type: string
  readonly value: string
}

const types: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'S',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'T',
  '2.5.4.13': 'D',
  '2.5.4.42': 'G',
  '2.5.4.43': 'I',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'Email',
}

/** In the order of the certificate. */
export function readDistinguishedName (name: DerValue): NameAttribute[] {
  return itemsOf(name).flatMap(itemsOf).map(attribute => {
    const [type, value] = itemsOf(attribute)
    if (type === undefined || value === undefined) return { type: '', value: '' }
    const identifier = readObjectIdentifier(type)
    return { type: types[identifier] ?? identifier, value: readText(value) }
  })
}

/**
 * One text for one name: a separator within a value is escaped, or somebody could write another's name with it.
 *
 * @example textOfName(name) // 'C=NL, O=Example\\, Inc., CN=alice'
 */
export function textOfName (name: readonly NameAttribute[]): string {
  return name.map(({ type, value }) => `${type}=${value.replaceAll(/[\\,]/g, '\\$&')}`).join(', ')
}
