-- What wrk sends, chosen by the first argument: `plain` is wrk's own head, the same bytes each time; `browser` has the
-- twelve fields of a browser, with a path, a cookie and a request id that no other request has. The second argument is
-- how many hosts the site has: requests go to all of them in turn. Everything random is made before the clock starts.

local paths = { "/api/", "/cart/", "/shop/", "/files/x/", "/upload/x/" }

local function hex(length)
  local digits = {}
  for i = 1, length do
    digits[i] = string.format("%x", math.random(0, 15))
  end
  return table.concat(digits)
end

local function pieces(count, length)
  local list = {}
  for i = 1, count do
    list[i] = hex(length)
  end
  return list
end

local function browser(count)
  math.randomseed(os.time() + tonumber(tostring({}):match("0x(%x+)") or 7, 16) % 65536)
  local hosts = { "localhost" }
  for i = 2, count do
    hosts[i] = "t" .. (i - 1) .. ".example.com"
  end
  local heads, ids = {}, pieces(4096, 16)
  for i = 1, 5 * count do
    local host = hosts[(i - 1) % count + 1]
    local path = paths[math.floor((i - 1) / count) % 5 + 1]
    heads[i] = { "GET " .. path, table.concat({
      " HTTP/1.1\r\nHost: " .. host,
      "Connection: keep-alive",
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
      "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
      "Accept-Encoding: gzip, deflate, br, zstd",
      "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
      "Referer: https://" .. host .. "/shop/overview",
      "Sec-Fetch-Dest: document",
      "Sec-Fetch-Mode: navigate",
      "Sec-Fetch-Site: same-origin",
      "Cookie: consent=1; theme=dark; session=" }, "\r\n") }
  end
  local number, total = 0, #heads
  local start = math.random(0, total - 1)
  return function()
    number = number + 1
    local head = heads[(number + start) % total + 1]
    local id = ids[number % 4096 + 1] .. number
    return head[1] .. id .. "?page=" .. number .. head[2] .. id .. "\r\nX-Request-Id: " .. id .. "\r\n\r\n"
  end
end

function init(arguments)
  if arguments[1] == "browser" then
    request = browser(tonumber(arguments[2]))
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
