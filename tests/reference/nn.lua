-- Made by tests/reference/make_nn.py with torch 2.15.0; see there.
-- luacheck: no max line length
return {
  conv1d = {
    y = { shape = "2x6x9", dot = 1.146471422, mass = 43.50904261 },
    gx = { shape = "2x4x9", dot = -1.460055259, mass = 28.64164861 },
    ["g.weight"] = { shape = "6x2x3", dot = 10.76833478, mass = 50.5671623 },
    ["g.bias"] = { shape = "6", dot = -3.537928104, mass = 10.68095899 },
  },
  conv2d = {
    y = { shape = "2x4x5x5", dot = 15.92836927, mass = 152.5420583 },
    gx = { shape = "2x3x11x10", dot = 5.204962014, mass = 167.6221285 },
    ["g.weight"] = { shape = "4x3x3x5", dot = -14.80659904, mass = 287.3808973 },
    ["g.bias"] = { shape = "4", dot = 2.199974895, mass = 12.39287937 },
  },
  conv2d_groups_nobias = {
    y = { shape = "2x6x5x3", dot = -3.104706802, mass = 95.57300693 },
    gx = { shape = "2x4x7x5", dot = 7.853924017, mass = 117.8260905 },
    ["g.weight"] = { shape = "6x2x3x3", dot = -1.136767954, mass = 149.8984005 },
  },
  conv2d_same = {
    y = { shape = "2x3x6x7", dot = -4.317824673, mass = 173.6021036 },
    gx = { shape = "2x2x6x7", dot = 0.2161243638, mass = 136.7657114 },
    ["g.weight"] = { shape = "3x2x4x4", dot = 33.53759406, mass = 196.2320383 },
    ["g.bias"] = { shape = "3", dot = -9.841048956, mass = 14.7468946 },
  },
  conv2d_reflect = {
    y = { shape = "1x3x8x5", dot = -7.042779545, mass = 71.25917513 },
    gx = { shape = "1x2x6x5", dot = 0.01928247426, mass = 39.14740976 },
    ["g.weight"] = { shape = "3x2x3x3", dot = -11.60011626, mass = 86.59831837 },
    ["g.bias"] = { shape = "3", dot = 4.318065524, mass = 9.938713193 },
  },
  conv2d_same_reflect = {
    y = { shape = "1x3x6x5", dot = -10.33266792, mass = 63.10744847 },
    gx = { shape = "1x2x6x5", dot = 7.792719212, mass = 50.42831201 },
    ["g.weight"] = { shape = "3x2x4x3", dot = 13.44006042, mass = 124.0398781 },
    ["g.bias"] = { shape = "3", dot = 10.20980263, mass = 10.20980263 },
  },
  conv3d = {
    y = { shape = "1x3x4x5x3", dot = 10.47964345, mass = 141.5192393 },
    gx = { shape = "1x2x4x5x3", dot = 4.17121608, mass = 115.3189186 },
    ["g.weight"] = { shape = "3x2x3x3x3", dot = -13.94808878, mass = 246.3501434 },
    ["g.bias"] = { shape = "3", dot = 14.81388175, mass = 14.81388175 },
  },
  convt1d = {
    y = { shape = "2x2x16", dot = -8.841419798, mass = 28.33007097 },
    gx = { shape = "2x3x5", dot = -3.037668407, mass = 10.55387435 },
    ["g.weight"] = { shape = "3x2x4", dot = -6.330363838, mass = 23.91002268 },
    ["g.bias"] = { shape = "2", dot = 2.388226032, mass = 3.345579386 },
  },
  convt2d = {
    y = { shape = "2x3x6x10", dot = -7.670795007, mass = 143.0751939 },
    gx = { shape = "2x4x3x5", dot = 2.833911364, mass = 56.33147564 },
    ["g.weight"] = { shape = "4x3x2x2", dot = -14.58839555, mass = 70.73914273 },
    ["g.bias"] = { shape = "3", dot = -5.653004885, mass = 7.188053131 },
  },
  convt2d_odd = {
    y = { shape = "2x6x8x6", dot = -9.739483083, mass = 212.6369315 },
    gx = { shape = "2x4x4x3", dot = -0.00941435221, mass = 61.31741064 },
    ["g.weight"] = { shape = "4x3x3x3", dot = 4.068462089, mass = 129.2234358 },
    ["g.bias"] = { shape = "6", dot = 4.862174034, mass = 29.90610719 },
  },
  convt3d = {
    y = { shape = "1x3x4x6x4", dot = -2.194687184, mass = 47.63913763 },
    gx = { shape = "1x2x2x3x2", dot = -2.229660862, mass = 17.09549176 },
    ["g.weight"] = { shape = "2x3x2x2x2", dot = -8.048956273, mass = 35.56850322 },
    ["g.bias"] = { shape = "3", dot = 6.822350383, mass = 11.483693 },
  },
  linear = {
    y = { shape = "4x2x3", dot = 0.876103919, mass = 6.468107776 },
    gx = { shape = "4x2x5", dot = -0.6162975675, mass = 10.82506268 },
    ["g.weight"] = { shape = "3x5", dot = -0.08366656899, mass = 9.989649976 },
    ["g.bias"] = { shape = "3", dot = -6.463269114, mass = 6.463269114 },
  },
  linear_vector = {
    y = { shape = "3", dot = 0.142490938, mass = 0.1913024755 },
    gx = { shape = "5", dot = -0.9442519565, mass = 1.094987854 },
    ["g.weight"] = { shape = "3x5", dot = -1.416836451, mass = 2.359396925 },
  },
  batchnorm1d = {
    y = { shape = "5x3", dot = -3.419246468, mass = 4.415652581 },
    gx = { shape = "5x3", dot = 0.1597280357, mass = 1.459561559 },
    ["g.weight"] = { shape = "3", dot = 2.133598712, mass = 2.480675714 },
    ["g.bias"] = { shape = "3", dot = -0.5612566471, mass = 3.452771425 },
    ["b.running_mean"] = { shape = "3", dot = 0.03159278154, mass = 0.03159734964 },
    ["b.running_var"] = { shape = "3", dot = -0.9906109962, mass = 2.826288147 },
    ["b.num_batches_tracked"] = { shape = "", dot = -1, mass = 1 },
  },
  batchnorm2d = {
    y = { shape = "4x3x5x6", dot = 11.50325552, mass = 162.937574 },
    gx = { shape = "4x3x5x6", dot = -2.194008651, mass = 110.0537951 },
    ["g.weight"] = { shape = "3", dot = -20.77521231, mass = 20.77521231 },
    ["g.bias"] = { shape = "3", dot = -12.44919038, mass = 12.44919038 },
    ["b.running_mean"] = { shape = "3", dot = 0.00524762104, mass = 0.01209186743 },
    ["b.running_var"] = { shape = "3", dot = 2.80624243, mass = 2.80624243 },
    ["b.num_batches_tracked"] = { shape = "", dot = 1, mass = 1 },
  },
  batchnorm2d_eval = {
    y = { shape = "4x3x5x6", dot = 5.937410928, mass = 54.20139248 },
    gx = { shape = "4x3x5x6", dot = -2.400392994, mass = 38.13671179 },
    ["g.weight"] = { shape = "3", dot = -4.796178842, mass = 9.560891155 },
    ["g.bias"] = { shape = "3", dot = 13.25334918, mass = 13.25334918 },
    ["b.running_mean"] = { shape = "3", dot = -0.00135648797, mass = 0.01311718474 },
    ["b.running_var"] = { shape = "3", dot = -0.9370617388, mass = 2.800386235 },
    ["b.num_batches_tracked"] = { shape = "", dot = 1, mass = 1 },
  },
  batchnorm2d_momentum = {
    y = { shape = "4x3x5x6", dot = 3.271996197, mass = 131.9341293 },
    gx = { shape = "4x3x5x6", dot = 5.377213765, mass = 114.3401658 },
    ["g.weight"] = { shape = "3", dot = 4.538371147, mass = 5.140526911 },
    ["g.bias"] = { shape = "3", dot = 24.44992054, mass = 26.06771958 },
    ["b.running_mean"] = { shape = "3", dot = 0.01451208085, mass = 0.04867998749 },
    ["b.running_var"] = { shape = "3", dot = -0.7743090319, mass = 2.365501197 },
    ["b.num_batches_tracked"] = { shape = "", dot = 1, mass = 1 },
  },
  batchnorm2d_cumulative = {
    y = { shape = "4x3x5x6", dot = 21.00685285, mass = 152.2174612 },
    gx = { shape = "4x3x5x6", dot = -4.169387763, mass = 136.3852867 },
    ["g.weight"] = { shape = "3", dot = -0.211961499, mass = 3.725209561 },
    ["g.bias"] = { shape = "3", dot = -6.03239274, mass = 18.68617344 },
    ["b.running_mean"] = { shape = "3", dot = 0.1214506487, mass = 0.1539007584 },
    ["b.running_var"] = { shape = "3", dot = -0.366309003, mass = 0.9629843621 },
    ["b.num_batches_tracked"] = { shape = "", dot = 2, mass = 2 },
  },
  batchnorm2d_plain = {
    y = { shape = "4x3x5x6", dot = 19.87162264, mass = 319.5708269 },
    gx = { shape = "4x3x5x6", dot = 3.662624819, mass = 294.4796927 },
  },
  batchnorm3d = {
    y = { shape = "2x2x3x4x5", dot = -0.7208337723, mass = 68.58518221 },
    gx = { shape = "2x2x3x4x5", dot = 2.225002294, mass = 20.61328808 },
    ["g.weight"] = { shape = "2", dot = -4.321488289, mass = 8.081952953 },
    ["g.bias"] = { shape = "2", dot = -8.291905403, mass = 15.39897847 },
    ["b.running_mean"] = { shape = "2", dot = -0.007772510846, mass = 0.008056931297 },
    ["b.running_var"] = { shape = "2", dot = 1.863563844, mass = 1.863563844 },
    ["b.num_batches_tracked"] = { shape = "", dot = 1, mass = 1 },
  },
  instancenorm2d = {
    y = { shape = "2x3x5x6", dot = 6.373387424, mass = 62.21879997 },
    gx = { shape = "2x3x5x6", dot = -4.146138586, mass = 49.89170097 },
    ["g.weight"] = { shape = "3", dot = 2.081898999, mass = 4.240535159 },
    ["g.bias"] = { shape = "3", dot = -5.580997586, mass = 8.256459117 },
  },
  instancenorm3d = {
    y = { shape = "2x2x3x4x5", dot = -16.18271659, mass = 208.8482202 },
    gx = { shape = "2x2x3x4x5", dot = 5.677341276, mass = 197.7235701 },
  },
  groupnorm = {
    y = { shape = "3x6x4x5", dot = 19.50707852, mass = 142.8318472 },
    gx = { shape = "3x6x4x5", dot = 4.925957369, mass = 107.4021535 },
    ["g.weight"] = { shape = "6", dot = 1.560833427, mass = 24.49909074 },
    ["g.bias"] = { shape = "6", dot = 21.16039443, mass = 21.33615112 },
  },
  layernorm = {
    y = { shape = "2x5x3x4", dot = 2.709078073, mass = 40.47612256 },
    gx = { shape = "2x5x3x4", dot = -0.01016215197, mass = 33.31936889 },
    ["g.weight"] = { shape = "3x4", dot = -6.425528578, mass = 16.02939343 },
    ["g.bias"] = { shape = "3x4", dot = 8.572390795, mass = 20.80059648 },
  },
  relu = {
    y = { shape = "3x7", dot = -2.779163957, mass = 6.7174927 },
    gx = { shape = "3x7", dot = -2.090387702, mass = 3.472254872 },
  },
  leaky_relu = {
    y = { shape = "3x7", dot = -1.119802785, mass = 5.623676467 },
    gx = { shape = "3x7", dot = 2.068729353, mass = 5.873689651 },
  },
  sigmoid = {
    y = { shape = "3x7", dot = 1.775832434, mass = 11.48636296 },
    gx = { shape = "3x7", dot = -0.3988861887, mass = 2.746627801 },
  },
  tanh = {
    y = { shape = "3x7", dot = -1.212021553, mass = 9.873092691 },
    gx = { shape = "3x7", dot = -2.766524052, mass = 8.437095422 },
  },
  softmax = {
    y = { shape = "2x4x3x5", dot = 5.777585261, mass = 30 },
    gx = { shape = "2x4x3x5", dot = -4.43779168, mass = 11.90883329 },
  },
  log_softmax = {
    y = { shape = "2x4x3x5", dot = 2.980785932, mass = 183.118938 },
    gx = { shape = "2x4x3x5", dot = 2.11071344, mass = 55.00997896 },
  },
  silu = {
    y = { shape = "3x7", dot = -0.4881202017, mass = 3.905698146 },
    gx = { shape = "3x7", dot = -1.224524199, mass = 4.802634495 },
  },
  elu = {
    y = { shape = "3x7", dot = -1.474863539, mass = 5.419119376 },
    gx = { shape = "3x7", dot = 0.9234366015, mass = 5.53359559 },
  },
  softplus = {
    y = { shape = "3x7", dot = -5.85367604, mass = 16.78227457 },
    gx = { shape = "3x7", dot = -0.4571024925, mass = 5.234023329 },
  },
  maxpool2d = {
    y = { shape = "2x3x5x4", dot = -4.094084501, mass = 75.33675027 },
    gx = { shape = "2x3x8x7", dot = 2.444908142, mass = 55.81119108 },
  },
  maxpool2d_dilated = {
    y = { shape = "1x2x6x5", dot = 1.042513609, mass = 43.99125171 },
    gx = { shape = "1x2x8x9", dot = -2.247085571, mass = 18.91115546 },
  },
  maxpool3d = {
    y = { shape = "1x2x2x2x3", dot = -7.309877038, mass = 18.56684387 },
    gx = { shape = "1x2x4x5x6", dot = 3.449880123, mass = 13.32874227 },
  },
  avgpool2d = {
    y = { shape = "2x3x4x4", dot = 3.155411843, mass = 17.47545644 },
    gx = { shape = "2x3x8x7", dot = -2.123386059, mass = 31.97912039 },
  },
  avgpool3d = {
    y = { shape = "1x2x2x2x3", dot = 1.687969923, mass = 4.316654235 },
    gx = { shape = "1x2x4x5x6", dot = 1.427235752, mass = 10.81312311 },
  },
  upsample_nearest = {
    y = { shape = "1x2x6x10", dot = 12.59268165, mass = 62.21343708 },
    gx = { shape = "1x2x3x5", dot = 1.738531828, mass = 32.7114706 },
  },
  upsample_bilinear = {
    y = { shape = "1x2x7x9", dot = -8.055479315, mass = 41.0283291 },
    gx = { shape = "1x2x5x6", dot = 2.698835128, mass = 30.16980197 },
  },
  upsample_corners = {
    y = { shape = "2x2x7x9", dot = -1.795283645, mass = 89.59181038 },
    gx = { shape = "2x2x4x5", dot = -5.48246181, mass = 56.36828363 },
  },
  upsample_trilinear = {
    y = { shape = "1x2x3x5x4", dot = 6.521923597, mass = 48.05490534 },
    gx = { shape = "1x2x2x3x3", dot = -4.226729491, mass = 27.29557491 },
  },
  upsample_linear = {
    y = { shape = "1x2x10", dot = -1.901752889, mass = 7.75361526 },
    gx = { shape = "1x2x5", dot = -0.3190898895, mass = 5.141710937 },
  },
  flatten = {
    y = { shape = "2x60", dot = 9.958570838, mass = 60.02669466 },
    gx = { shape = "2x3x4x5", dot = 0.7351907492, mass = 56.41004932 },
  },
  pad_reflect = {
    y = { shape = "1x2x8x7", dot = -2.134176016, mass = 54.21104908 },
    gx = { shape = "1x2x5x4", dot = 5.528328896, mass = 32.70697594 },
  },
  pad_crop = {
    y = { shape = "1x2x4x5", dot = -1.570816755, mass = 20.96586204 },
    gx = { shape = "1x2x5x4", dot = 2.192818522, mass = 10.36813462 },
  },
  interpolate_nearest = {
    y = { shape = "1x2x5x3", dot = 1.304334402, mass = 13.95790362 },
    gx = { shape = "1x2x7x8", dot = 3.47357893, mass = 13.58336711 },
  },
  bce = {
    y = { shape = "", dot = 0.9029571549, mass = 0.9029571549 },
    gx = { shape = "2x1x4x5", dot = 0.8692216426, mass = 2.269123922 },
  },
  bce_sum_weight = {
    y = { shape = "", dot = 65.84913389, mass = 65.84913389 },
    gx = { shape = "2x1x4x5", dot = 41.33289891, mass = 325.8884202 },
  },
  bce_logits = {
    y = { shape = "", dot = 1.049736773, mass = 1.049736773 },
    gx = { shape = "2x1x4x5", dot = -0.09230112712, mass = 0.3345827673 },
  },
  bce_logits_pos = {
    y = { shape = "", dot = -1.819876338, mass = 1.819876338 },
    gx = { shape = "2x1x4x5", dot = 0.2211263552, mass = 0.6835399782 },
  },
  bce_logits_none = {
    y = { shape = "2x1x4x5", dot = -14.84965084, mass = 41.95725568 },
    gx = { shape = "2x1x4x5", dot = -0.4800910581, mass = 14.05176562 },
  },
  mse = {
    y = { shape = "", dot = -3.324417899, mass = 3.324417899 },
    gx = { shape = "3x4", dot = -0.3132275641, mass = 2.819318006 },
  },
  l1 = {
    y = { shape = "", dot = -17.1995092, mass = 17.1995092 },
    gx = { shape = "3x4", dot = -2, mass = 12 },
  },
  nll = {
    y = { shape = "", dot = 0.5483482599, mass = 0.5483482599 },
    gx = { shape = "3x4x2x5", dot = -0.4, mass = 1 },
  },
  cross_entropy = {
    y = { shape = "", dot = -2.520473393, mass = 2.520473393 },
    gx = { shape = "3x4x2x5", dot = 0.354834019, mass = 1.60827975 },
  },
  cross_entropy_weight = {
    y = { shape = "", dot = -2.226960386, mass = 2.226960386 },
    gx = { shape = "3x4x2x5", dot = -0.1235609763, mass = 1.512460285 },
  },
  cross_entropy_ignore = {
    y = { shape = "", dot = -2.148272544, mass = 2.148272544 },
    gx = { shape = "3x4x2x5", dot = 0.1802467891, mass = 1.512144173 },
  },
  cross_entropy_smooth = {
    y = { shape = "", dot = -2.076516665, mass = 2.076516665 },
    gx = { shape = "3x4x2x5", dot = 0.2230055703, mass = 1.460379736 },
  },
  cross_entropy_sum = {
    y = { shape = "", dot = 8.370143497, mass = 8.370143497 },
    gx = { shape = "5x3", dot = 2.106231289, mass = 6.573081375 },
  },
  cross_entropy_soft = {
    y = { shape = "", dot = 2.242965458, mass = 2.242965458 },
    gx = { shape = "3x4x2", dot = -0.01113140014, mass = 0.8097500342 },
  },
  sgd = {
    p0 = { shape = "3x4", dot = 0.009277129173, mass = 4.335405636 },
    p1 = { shape = "5", dot = -0.5339113832, mass = 2.087846339 },
  },
  sgd_momentum = {
    p0 = { shape = "3x4", dot = -0.07038753291, mass = 5.115109459 },
    p1 = { shape = "5", dot = 0.1922935528, mass = 2.494722268 },
  },
  sgd_nesterov = {
    p0 = { shape = "3x4", dot = 4.865736981, mass = 6.249699891 },
    p1 = { shape = "5", dot = 1.126838429, mass = 3.243155401 },
  },
  adam = {
    p0 = { shape = "3x4", dot = -1.237573222, mass = 4.339615235 },
    p1 = { shape = "5", dot = -1.15987394, mass = 2.054234976 },
  },
  adam_decay = {
    p0 = { shape = "3x4", dot = 0.4704387783, mass = 4.308795639 },
    p1 = { shape = "5", dot = 0.8789262933, mass = 2.043059241 },
  },
  adamw = {
    p0 = { shape = "3x4", dot = 1.81531082, mass = 4.337002462 },
    p1 = { shape = "5", dot = 0.8285898112, mass = 2.052970466 },
  },
  clip = {
    norm = 2.530636797,
    g0 = { shape = "3x4", dot = -1.080764219, mass = 4.103475572 },
    g1 = { shape = "5", dot = -0.3755235796, mass = 1.405599971 },
  },
  metric = { 1.0, 0.9, 0.95, 0.96, 0.97, 0.5, 0.49999, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4 },
  schedules = {
    step = { 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.0125, 0.0125, 0.0125, 0.00625, 0.00625, 0.00625, 0.003125 },
    exponential = { 0.09, 0.081, 0.0729, 0.06561, 0.059049, 0.0531441, 0.04782969, 0.043046721, 0.0387420489, 0.03486784401, 0.031381059609, 0.0282429536481, 0.0254186582833, 0.022876792455, 0.0205891132095 },
    cosine = { 0.0975772975566, 0.0905463412216, 0.0795953699885, 0.0657963412216, 0.0505, 0.0352036587784, 0.0214046300115, 0.0104536587784, 0.00342270244339, 0.001, 0.00342270244339, 0.0104536587784, 0.0214046300115, 0.0352036587784, 0.0505 },
    polynomial = { 0.0765625, 0.05625, 0.0390625, 0.025, 0.0140625, 0.00625, 0.0015625, 0, 0, 0, 0, 0, 0, 0, 0 },
    lambda = { 0.05, 0.0333333333333, 0.025, 0.02, 0.0166666666667, 0.0142857142857, 0.0125, 0.0111111111111, 0.01, 0.00909090909091, 0.00833333333333, 0.00769230769231, 0.00714285714286, 0.00666666666667, 0.00625 },
    plateau = { 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.025, 0.0125, 0.0125, 0.0125, 0.01 },
  },
  printed = [[
Sequential(
  (0): Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
  (1): Conv2d(8, 8, kernel_size=(3, 1), stride=(2, 2), dilation=(1, 2), groups=2, bias=False)
  (2): Conv2d(8, 8, kernel_size=(3, 3), stride=(1, 1), padding=same, padding_mode=reflect)
  (3): Conv1d(1, 2, kernel_size=(3,), stride=(1,))
  (4): ConvTranspose2d(8, 4, kernel_size=(2, 2), stride=(2, 2))
  (5): ConvTranspose3d(8, 4, kernel_size=(3, 3, 3), stride=(2, 2, 2), padding=(1, 1, 1), output_padding=(1, 1, 1), bias=False)
  (6): ReLU()
  (7): LeakyReLU(negative_slope=0.2)
  (8): Sigmoid()
  (9): Softmax(dim=1)
  (10): Dropout(p=0.25, inplace=False)
  (11): Dropout2d(p=0.5, inplace=False)
  (12): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
  (13): MaxPool3d(kernel_size=(1, 2, 2), stride=2, padding=0, dilation=1, ceil_mode=True)
  (14): AvgPool2d(kernel_size=2, stride=2, padding=0)
  (15): Linear(in_features=5, out_features=3, bias=False)
  (16): Sequential(
    (0): Upsample(scale_factor=2.0, mode='bilinear')
    (1): Upsample(size=(4, 4), mode='nearest')
    (2): Identity()
    (3): Flatten(start_dim=1, end_dim=-1)
  )
  (17): ModuleList(
    (0): GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)
    (1): InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)
  )
)]],
}
