-- hash: FNV-1a over text, 32 bits; hash(text, h) goes on from h. bit.tohex shows it.

return function(text, h)
  h = h or bit.tobit(0x811c9dc5)
  for i = 1, #text do
    h = bit.bxor(h, text:byte(i))
    h = bit.tobit(h + bit.lshift(h, 1) + bit.lshift(h, 4) + bit.lshift(h, 7) + bit.lshift(h, 8) + bit.lshift(h, 24))
  end
  return h
end
