const WHITE_SPACE = /[ \t\n\r]*/y
const TOKEN = /[{}[\],:]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y // eslint-disable-line no-control-regex

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | 'end or ,'

/**
 * Where a text stops being JSON: the offset of the first token that cannot stand where it stands, or the text's length
 * if it ends too early; `undefined` if it is JSON. `JSON.parse` does not always tell, and what it tells differs between
 * versions of Node and may quote a secret.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8259
 * @example jsonErrorOffset('{"port": 80,}') // 12
 */
export function jsonErrorOffset (text: string): number | undefined {
  const open: Array<'{' | '['> = []
  let expected: Expected = 'value'
  let at = 0
  for (;;) {
    at = endOf(WHITE_SPACE, text, at) ?? at
    const end = endOf(TOKEN, text, at)
    const isDone: boolean = open.length === 0 && expected === 'end or ,'
    if (end === undefined) return isDone && at === text.length ? undefined : at
    const next: Expected | undefined = isDone ? undefined : step(expected, text.charAt(at), open)
    if (next === undefined) return at
    expected = next
    at = end
  }
}

/** What may follow a token, given by its first character; `undefined` if it may not stand there itself. */
function step (expected: Expected, token: string, open: Array<'{' | '['>): Expected | undefined {
  switch (expected) {
    case ':': return token === ':' ? 'value' : undefined
    case 'key': return token === '"' ? ':' : undefined
    case 'key or }': return token === '}' ? close(open) : step('key', token, open)
    case 'value or ]': return token === ']' ? close(open) : step('value', token, open)
    case 'end or ,': return afterValue(token, open)
    case 'value':
      if (token === '{' || token === '[') {
        open.push(token)
        return token === '{' ? 'key or }' : 'value or ]'
      }
      return '}],:'.includes(token) ? undefined : 'end or ,'
  }
}

function afterValue (token: string, open: Array<'{' | '['>): Expected | undefined {
  const isObject = open.at(-1) === '{'
  if (token === ',') return isObject ? 'key' : 'value'
  return token === (isObject ? '}' : ']') ? close(open) : undefined
}

function close (open: unknown[]): Expected {
  open.pop()
  return 'end or ,'
}

function endOf (pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : undefined
}
