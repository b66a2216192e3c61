// Decoded pictures, a few of them: the next ones are fetched and decoded before they are asked for.

const KEEP = 12;
const cache = new Map();

export function picture(url) {
  let entry = cache.get(url);
  if (entry) {
    cache.delete(url);
    cache.set(url, entry);
    return entry;
  }
  const image = new Image();
  image.decoding = "async";
  image.draggable = false;
  image.alt = "";
  image.src = url;
  entry = image.decode().then(() => image);
  entry.catch(() => cache.delete(url));
  cache.set(url, entry);
  while (cache.size > KEEP) cache.delete(cache.keys().next().value);
  return entry;
}

export function prefetch(urls) {
  for (const url of urls) picture(url).catch(() => undefined);
}
