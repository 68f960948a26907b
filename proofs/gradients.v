From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions linear norms.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* Gradients of the nested layer (GRD).                                       *)
(*                                                                            *)
(*  nested_linear_dx, _dA, _dB, _db == the gradients at one rank r, from the  *)
(*                      cotangent dy of the output   nested_linear_backward   *)
(*     suffix rk dys i == the sum of the cotangents dys k over the ranks that *)
(*                      reach component i       dy, in the backward's loop    *)
(*  multirank_linear_dx, _dA, _dB, _db == the gradients of K outputs in one   *)
(*                      pass, by suffix sums       multirank_linear_backward  *)
(*        little_o N g == |g p| <= eps N(p) for p small enough, for every eps *)
(*     is_grad ell Y G == the loss ell is differentiable at Y with gradient   *)
(*                      G: ell(Y + H) = ell(Y) + frob G H + o(nrm H)          *)
(*           size_of D == the sum of the norms of a joint change of x, A, B, b*)
(*                                                                            *)
(* The gradient of a quantity at a matrix M is the matrix G such that the     *)
(* first-order change along D is frob G D; frob_inj says that there is at     *)
(* most one. The formulas are those of the code, term by term; GRD-1 to GRD-3 *)
(* need only field operations.                                                *)
(******************************************************************************)

Section OneRank.

Variables (F : fieldType) (d_in d_out R n : nat).
Implicit Types (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)) (b : 'rV[F]_d_out).
Implicit Types (x Dx : 'M[F]_(n, d_in)) (dy : 'M[F]_(n, d_out)) (r : nat).
Implicit Types (DA : 'M[F]_(R, d_in)) (DB : 'M[F]_(d_out, R)) (Db : 'rV[F]_d_out).

Definition nested_linear_dx A B r dy : 'M[F]_(n, d_in) := dy *m colpre B r *m rowpre A r.
Definition nested_linear_dA x B r dy : 'M[F]_(R, d_in) := (pid_mx r : 'M_(R, r)) *m ((dy *m colpre B r)^T *m x).
Definition nested_linear_dB x A r dy : 'M[F]_(d_out, R) := dy^T *m (x *m (rowpre A r)^T) *m (pid_mx r : 'M_(r, R)).
Definition nested_linear_db dy : 'rV[F]_d_out := const_mx 1 *m dy.

Lemma nested_linear_dxE A B r dy : nested_linear_dx A B r dy = dy *m Wpre B A r.
Proof. by rewrite /nested_linear_dx -(mulmxA dy). Qed.

Lemma nested_linear_dAE x B r dy : nested_linear_dA x B r dy = (dy *m B *m (pid_mx r : 'M_R))^T *m x.
Proof.
rewrite /nested_linear_dA /colpre mulmxA; congr (_ *m _).
rewrite -(mulmxA dy) (trmx_mul dy) (trmx_mul B) tr_pid_mx !mulmxA pid_mx_id //.
by rewrite !(trmx_mul, tr_pid_mx) mulmxA.
Qed.

Lemma nested_linear_dBE x A r dy : nested_linear_dB x A r dy = dy^T *m x *m A^T *m (pid_mx r : 'M_R).
Proof. by rewrite /nested_linear_dB /rowpre trmx_mul tr_pid_mx !mulmxA -(mulmxA _ (pid_mx r)) pid_mx_id. Qed.

(* GRD-1. At rank r the rows of dA and the columns of dB from r on are exactly zero. *)
Theorem nested_linear_unused x A B r dy (i : 'I_R) : (r <= i)%N ->
  row i (nested_linear_dA x B r dy) = 0 /\ col i (nested_linear_dB x A r dy) = 0.
Proof.
move=> ri; have ir : (i < r)%N = false by rewrite ltnNge ri.
rewrite nested_linear_dAE nested_linear_dBE; split.
  by rewrite row_mul trmx_mul tr_pid_mx (_ : row i _ = 0) ?mul0mx //; apply/rowP=> j; rewrite mxE pid_mulE ir mul0r mxE.
by apply/colP=> j; rewrite mxE mul_pidE ir mulr0 mxE.
Qed.

(* GRD-1. The change of <dy, y> along any direction in x is the inner product with the
   backward pass's gradient: exactly, since y is affine in each argument. *)
Theorem nested_linear_change_x x Dx A B b r dy :
  frob dy (nested_linear (x + Dx) A B b r) =
  frob dy (nested_linear x A B b r) + frob (nested_linear_dx A B r dy) Dx.
Proof.
by rewrite !nested_linearE mulmxDl addrAC frobDr frob_mulr trmxK nested_linear_dxE.
Qed.

(* GRD-1. The same along a direction in A. *)
Theorem nested_linear_change_A x A DA B b r dy :
  frob dy (nested_linear x (A + DA) B b r) =
  frob dy (nested_linear x A B b r) + frob (nested_linear_dA x B r dy) DA.
Proof.
rewrite !nested_linearE !WpreE mulmxDr linearD /= mulmxDr addrAC frobDr; congr (_ + _).
rewrite frob_mull -(frob_tr _ (_ *m DA)^T) trmxK frob_mull nested_linear_dAE.
by congr (frob _ _); rewrite !trmx_mul !trmxK tr_pid_mx !mulmxA.
Qed.

(* GRD-1. The same along a direction in B. *)
Theorem nested_linear_change_B x A B DB b r dy :
  frob dy (nested_linear x A (B + DB) b r) =
  frob dy (nested_linear x A B b r) + frob (nested_linear_dB x A r dy) DB.
Proof.
rewrite !nested_linearE !WpreE !mulmxDl linearD /= mulmxDr addrAC frobDr; congr (_ + _).
rewrite frob_mull -(frob_tr _ (_ *m A)^T) trmxK frob_mulr frob_mulr nested_linear_dBE.
by congr (frob _ _); rewrite trmx_mul trmxK tr_pid_mx.
Qed.

(* GRD-1. The same along a direction in b. *)
Theorem nested_linear_change_b x A B b Db r dy :
  frob dy (nested_linear x A B (b + Db) r) =
  frob dy (nested_linear x A B b r) + frob (nested_linear_db dy) Db.
Proof.
by rewrite !nested_linearE /bias mulmxDr addrA frobDr frob_mull trmx_const.
Qed.

End OneRank.

Section SeveralRanks.

Variables (F : fieldType) (d_in d_out R n : nat) (K : finType) (rk : K -> nat).
Implicit Types (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)) (x : 'M[F]_(n, d_in)).
Implicit Types (dys : K -> 'M[F]_(n, d_out)).

Definition suffix dys (i : nat) : 'M[F]_(n, d_out) := \sum_(k | (i < rk k)%N) dys k.

Definition multirank_linear_dx A B dys : 'M[F]_(n, d_in) :=
  \sum_(i < R) suffix dys i *m col i B *m row i A.
Definition multirank_linear_dA x B dys : 'M[F]_(R, d_in) :=
  \matrix_(i, j) ((suffix dys i *m col i B)^T *m x) 0 j.
Definition multirank_linear_dB x A dys : 'M[F]_(d_out, R) :=
  \matrix_(j, i) ((suffix dys i)^T *m (x *m (row i A)^T)) j 0.
Definition multirank_linear_db dys : 'rV[F]_d_out := const_mx 1 *m \sum_k dys k.

(* GRD-2. The suffix sums come from one sweep, from the largest rank down. *)
Theorem suffix_recursion dys i : suffix dys i = suffix dys i.+1 + \sum_(k | rk k == i.+1) dys k.
Proof.
rewrite /suffix (bigID (fun k => (i.+1 < rk k)%N)) /=; congr (_ + _).
  by apply: eq_bigl => k; rewrite andb_idl //; exact: ltnW.
by apply: eq_bigl => k; rewrite -leqNgt [RHS]eqn_leq andbC.
Qed.

(* GRD-2. Components above every rank get exactly zero. *)
Theorem suffix_unused dys i : (forall k, rk k <= i)%N -> suffix dys i = 0.
Proof. by move=> h; rewrite /suffix big_pred0 // => k; rewrite ltnNge h. Qed.

Lemma sum_suffix p (T : 'I_R -> 'M[F]_(n, d_out) -> 'M[F]_(n, p)) dys : (forall i, additive (T i)) ->
  \sum_i T i (suffix dys i) = \sum_k \sum_(i < R | (i < rk k)%N) T i (dys k).
Proof.
move=> aT; rewrite (exchange_big_dep predT) //=; apply: eq_bigr => i _.
exact: (raddf_sum (Additive (aT i))).
Qed.

(* GRD-3. One pass gives the sum of the K passes: for x ... *)
Theorem multirank_linear_dx_sum A B dys :
  multirank_linear_dx A B dys = \sum_k nested_linear_dx A B (rk k) (dys k).
Proof.
rewrite /multirank_linear_dx (@sum_suffix _ (fun i dy => dy *m col i B *m row i A)) => [|i P Q].
  apply: eq_bigr => k _; rewrite nested_linear_dxE Wpre_sum mulmx_sumr.
  by apply: eq_bigr => i _; rewrite mulmxA.
by rewrite !mulmxBl.
Qed.

(* GRD-3. ... for A ... *)
Theorem multirank_linear_dA_sum x B dys :
  multirank_linear_dA x B dys = \sum_k nested_linear_dA x B (rk k) (dys k).
Proof.
apply/matrixP=> i j; rewrite mxE /suffix mulmx_suml linear_sum mulmx_suml !summxE big_mkcond.
apply: eq_bigr => k _; rewrite nested_linear_dAE trmx_mul tr_pid_mx -mulmxA pid_mulE.
case: (i < rk k)%N; last by rewrite mul0r.
by rewrite mul1r /= -col_mulmx tr_col -row_mul mxE.
Qed.

(* GRD-3. ... for B ... *)
Theorem multirank_linear_dB_sum x A dys :
  multirank_linear_dB x A dys = \sum_k nested_linear_dB x A (rk k) (dys k).
Proof.
apply/matrixP=> j i; rewrite mxE /suffix linear_sum mulmx_suml !summxE big_mkcond.
apply: eq_bigr => k _; rewrite nested_linear_dBE mul_pidE.
case: (i < rk k)%N; last by rewrite mulr0.
by rewrite mulr1 /= -(mulmxA _ x) tr_row -!col_mulmx mxE.
Qed.

(* GRD-3. ... and for b. *)
Theorem multirank_linear_db_sum dys : multirank_linear_db dys = \sum_k nested_linear_db (dys k).
Proof. by rewrite /multirank_linear_db mulmx_sumr. Qed.

End SeveralRanks.

Section Derivatives.

Variable F : rcfType.

Definition little_o (P : Type) (N g : P -> F) :=
  forall eps : F, 0 < eps -> exists2 delta : F, 0 < delta & forall p, N p <= delta -> `|g p| <= eps * N p.

Definition is_grad p q (ell : 'M[F]_(p, q) -> F) (Y G : 'M[F]_(p, q)) :=
  little_o (@nrm F p q) (fun H => ell (Y + H) - ell Y - frob G H).

Lemma little_o_ext (P : Type) (N g h : P -> F) : g =1 h -> little_o N g -> little_o N h.
Proof. by move=> gh og eps /og[d d0 hd]; exists d => // p /hd; rewrite gh. Qed.

Lemma little_o_add (P : Type) (N g h : P -> F) :
  little_o N g -> little_o N h -> little_o N (fun p => g p + h p).
Proof.
move=> og oh eps eps0; have e2 : 0 < eps / 2%:R by rewrite divr_gt0 ?ltr0n.
have [d1 d10 h1] := og _ e2; have [d2 d20 h2] := oh _ e2.
exists (Num.min d1 d2) => [|p]; first by rewrite lt_minr d10 d20.
rewrite le_minr => /andP[/h1 {}h1 /h2 {}h2]; apply: le_trans (ler_norm_add _ _) _.
by rewrite [leRHS](_ : _ = eps / 2%:R * N p + eps / 2%:R * N p) ?ler_add // -mulrDl -splitr.
Qed.

Lemma little_o_sum (P : Type) (N : P -> F) (K : Type) (ks : seq K) (g : K -> P -> F) :
  (forall p, 0 <= N p) -> (forall k, little_o N (g k)) -> little_o N (fun p => \sum_(k <- ks) g k p).
Proof.
move=> N0 og; elim: ks => [|k ks IH].
  by move=> eps eps0; exists 1 => [|p _]; [exact: ltr01 | rewrite big_nil normr0 mulr_ge0 // ltW].
by apply: little_o_ext (little_o_add (og k) IH) => p; rewrite big_cons.
Qed.

(* The chain rule: the argument of ell moves by disp p, which is lin p up to second order. *)
Lemma is_grad_chain (P : Type) (N : P -> F) p q (ell : 'M[F]_(p, q) -> F) Y G (disp lin : P -> 'M[F]_(p, q)) (c C : F) :
  (forall z, 0 <= N z) -> 0 <= c -> 0 <= C ->
  (forall z, N z <= 1 -> nrm (lin z) <= c * N z) ->
  (forall z, N z <= 1 -> nrm (disp z - lin z) <= C * N z ^+ 2) ->
  is_grad ell Y G -> little_o N (fun z => ell (Y + disp z) - ell Y - frob G (lin z)).
Proof.
move=> N0 c0 C0 hlin hquad hell eps eps0; have e2 : 0 < eps / 2%:R by rewrite divr_gt0 ?ltr0n.
pose c' := c + C + 1; pose g' := nrm G * C + 1.
have c'0 : 0 < c' by rewrite ltr_spaddr ?ltr01 ?addr_ge0.
have g'0 : 0 < g' by rewrite ltr_spaddr ?ltr01 ?mulr_ge0 ?nrm_ge0.
have [d d0 hd] := hell (eps / 2%:R / c') (divr_gt0 e2 c'0).
exists (Num.min 1 (Num.min (d / c') (eps / 2%:R / g'))) => [|z].
  by rewrite !lt_minr ltr01 (divr_gt0 d0 c'0) (divr_gt0 e2 g'0).
rewrite !le_minr => /and3P[z1 zc zg].
have hd2 : nrm (disp z) <= c' * N z.
  rewrite -[disp z](subrK (lin z)) addrC; apply: le_trans (nrm_triangle _ _) _.
  rewrite /c' 2!mulrDl mul1r -addrA ler_add ?hlin //.
  apply: le_trans (hquad _ z1) _; rewrite expr2 mulrA -[leLHS]addr0 ler_add //.
  by rewrite ler_pimulr ?mulr_ge0.
have hf : `|frob G (disp z - lin z)| <= eps / 2%:R * N z.
  apply: le_trans (frob_le _ _) _; apply: le_trans (ler_wpmul2l (nrm_ge0 _) (hquad _ z1)) _.
  rewrite expr2 !mulrA ler_wpmul2r //; apply: le_trans (_ : g' * N z <= _).
    by rewrite ler_wpmul2r // ler_addl ler01.
  by rewrite mulrC -ler_pdivl_mulr.
have hz : `|ell (Y + disp z) - ell Y - frob G (disp z)| <= eps / 2%:R * N z.
  apply: le_trans (hd _ _) _; first by apply: le_trans hd2 _; rewrite mulrC -ler_pdivl_mulr.
  by rewrite -mulrA ler_pmul2l // mulrC ler_pdivr_mulr // mulrC.
have -> : ell (Y + disp z) - ell Y - frob G (lin z) =
          (ell (Y + disp z) - ell Y - frob G (disp z)) + frob G (disp z - lin z).
  by rewrite frobDr frobNr addrA subrK.
apply: le_trans (ler_norm_add _ _) _; apply: le_trans (ler_add hz hf) _.
by rewrite -mulrDl -splitr.
Qed.

Lemma is_grad_unique p q (ell : 'M[F]_(p, q) -> F) Y G G' : is_grad ell Y G -> is_grad ell Y G' -> G = G'.
Proof.
move=> h h'; apply/eqP; rewrite -subr_eq0 -nrm_eq0; set D := G - G'.
case: (ltrgt0P (nrm D)) (nrm_ge0 D) => // nD _; have e2 : 0 < nrm D / 3%:R by rewrite divr_gt0 ?ltr0n.
have [d d0 hd] := h _ e2; have [d' d'0 hd'] := h' _ e2; pose t := Num.min d d' / nrm D.
have t0 : 0 < t by rewrite divr_gt0 // lt_minr d0 d'0.
have nH : nrm (t *: D) = Num.min d d' by rewrite nrmZ gtr0_norm // /t divfK // gt_eqF.
have b1 := hd (t *: D); have b2 := hd' (t *: D); rewrite nH le_minl lexx in b1; rewrite nH le_minl lexx orbT in b2.
have {}b1 := b1 isT; have {}b2 := b2 isT; set X := ell _ - _ in b1 b2.
have m0 : 0 < Num.min d d' * nrm D by rewrite mulr_gt0 // lt_minr d0 d'0.
have eD : frob G (t *: D) - frob G' (t *: D) = Num.min d d' * nrm D.
  rewrite (frobC G) (frobC G') -frobNr -frobDr -/D frobC frobZr -[frob D D]/(sqn D) -nrm_sqr expr2.
  by rewrite mulrA /t divfK // gt_eqF.
have eX (a b : F) : a - b = (X - b) - (X - a) by rewrite opprB [RHS]addrC addrA subrK.
have : Num.min d d' * nrm D <= 2%:R / 3%:R * (Num.min d d' * nrm D).
  rewrite -[leLHS](ger0_norm (ltW m0)) -[in leLHS]eD eX; apply: le_trans (ler_norm_sub _ _) _.
  apply: le_trans (ler_add b2 b1) _; rewrite -mulr2n -[_ *+ 2]mulr_natl -!mulrA.
  by rewrite [nrm D * _]mulrCA [nrm D * _]mulrC.
by rewrite -{1}[_ * nrm D]mul1r ler_pmul2r // ler_pdivl_mulr ?ltr0n // mul1r ler_nat.
Qed.

End Derivatives.

Section AnyLoss.

Variables (F : rcfType) (d_in d_out R n : nat).
Implicit Types (A DA : 'M[F]_(R, d_in)) (B DB : 'M[F]_(d_out, R)) (b Db : 'rV[F]_d_out).
Implicit Types (x Dx : 'M[F]_(n, d_in)) (r : nat).

(* A change of all four arguments at once, and its size. *)
Definition change := ('M[F]_(n, d_in) * 'M[F]_(R, d_in) * 'M[F]_(d_out, R) * 'rV[F]_d_out)%type.
Definition size_of (D : change) : F := let: (Dx, DA, DB, Db) := D in nrm Dx + nrm DA + nrm DB + nrm Db.

Lemma size_of_ge0 D : 0 <= size_of D.
Proof. by case: D => [[[Dx DA] DB] Db]; rewrite !addr_ge0 ?nrm_ge0. Qed.

Lemma size_of_ge Dx DA DB Db (D : change := (Dx, DA, DB, Db)) :
  [/\ nrm Dx <= size_of D, nrm DA <= size_of D, nrm DB <= size_of D & nrm Db <= size_of D].
Proof.
have h := (nrm_ge0 Dx, nrm_ge0 DA, nrm_ge0 DB, nrm_ge0 Db).
by split; rewrite /size_of /=; [rewrite -!addrA ler_addl | rewrite -!addrA addrCA ler_addl
  | rewrite addrAC ler_addr | rewrite ler_addr]; rewrite ?addr_ge0 ?h.
Qed.

Definition disp x A B b r (D : change) : 'M[F]_(n, d_out) := let: (Dx, DA, DB, Db) := D in
  nested_linear (x + Dx) (A + DA) (B + DB) (b + Db) r - nested_linear x A B b r.

(* The first-order part of disp. *)
Definition lin x A B r (D : change) : 'M[F]_(n, d_out) := let: (Dx, DA, DB, Db) := D in
  Dx *m (Wpre B A r)^T + x *m (Wpre B DA r + Wpre DB A r)^T + bias n Db.

Lemma Wpre_change B A DB DA r :
  Wpre (B + DB) (A + DA) r = Wpre B A r + (Wpre B DA r + Wpre DB A r + Wpre DB DA r).
Proof. by rewrite !WpreE !mulmxDl !mulmxDr !addrA. Qed.

Lemma disp_lin x A B b r Dx DA DB Db :
  disp x A B b r (Dx, DA, DB, Db) - lin x A B r (Dx, DA, DB, Db) =
  x *m (Wpre DB DA r)^T + Dx *m (Wpre B DA r + Wpre DB A r + Wpre DB DA r)^T.
Proof.
rewrite /disp /lin !nested_linearE Wpre_change /bias (mulmxDr _ b Db).
set E := Wpre B DA r + _; move: (Wpre B A r) E (Wpre DB DA r) => W E E3.
rewrite (linearD _ W) /= mulmxDl {1}(linearD _ E) /= !(mulmxDr x) (mulmxDr Dx W^T).
move: (x *m W^T) (x *m E^T) (x *m E3^T) (Dx *m W^T) (Dx *m (E + E3)^T) (_ *m b) (_ *m Db).
move=> a p q s t u v; apply/eqP; rewrite !subr_eq; apply/eqP.
by rewrite [RHS](AC ((2*3)*2) (((6*(4*1))*(3*2))*(7*5))).
Qed.

Lemma nrm_Wpre B A r : nrm (Wpre B A r) <= nrm (pid_mx r : 'M[F]_R) * (nrm B * nrm A).
Proof.
rewrite WpreE; apply: le_trans (nrmM _ _) _; rewrite mulrCA mulrA ler_wpmul2r ?nrm_ge0 //.
exact: nrmM.
Qed.

Lemma lin_frob x A B b r dy D : let: (Dx, DA, DB, Db) := D in
  frob dy (lin x A B r D) =
  frob (nested_linear_dx A B r dy) Dx + frob (nested_linear_dA x B r dy) DA +
  frob (nested_linear_dB x A r dy) DB + frob (nested_linear_db dy) Db.
Proof.
case: D => [[[Dx DA] DB] Db]; rewrite /lin linearD /= (mulmxDr x) !frobDr.
have ex := nested_linear_change_x x Dx A B b r dy; have eA := nested_linear_change_A x A DA B b r dy.
have eB := nested_linear_change_B x A B DB b r dy; have eb := nested_linear_change_b x A B b Db r dy.
move: ex; rewrite nested_linearE mulmxDl addrAC -nested_linearE frobDr => /addrI ->.
move: eA; rewrite nested_linearE WpreE (mulmxDr _ A) -!WpreE linearD /= mulmxDr addrAC
  -nested_linearE frobDr => /addrI ->.
move: eB; rewrite nested_linearE WpreE (mulmxDl B) mulmxDl -!WpreE linearD /= mulmxDr addrAC
  -nested_linearE frobDr => /addrI ->.
move: eb; rewrite nested_linearE {1}/bias mulmxDr addrA -/(bias _ _) -nested_linearE frobDr => /addrI ->.
by rewrite !addrA.
Qed.

Lemma lin_bound x A B r D :
  nrm (lin x A B r D) <=
  (nrm (Wpre B A r) + nrm x * (nrm (pid_mx r : 'M[F]_R) * (nrm A + nrm B)) + nrm (const_mx 1 : 'cV[F]_n)) * size_of D.
Proof.
case: D => [[[Dx DA] DB] Db]; have [sx sA sB sb] := size_of_ge Dx DA DB Db.
move: (size_of _) sx sA sB sb => S sx sA sB sb.
rewrite /lin !mulrDl; apply: le_trans (nrm_triangle _ _) _; apply: ler_add; last first.
  by apply: le_trans (nrmM _ _) _; rewrite ler_wpmul2l ?nrm_ge0.
apply: le_trans (nrm_triangle _ _) _; apply: ler_add.
  by apply: le_trans (nrmM _ _) _; rewrite nrm_tr mulrC ler_wpmul2l ?nrm_ge0.
apply: le_trans (nrmM _ _) _; rewrite -mulrA ler_wpmul2l ?nrm_ge0 // nrm_tr.
apply: le_trans (nrm_triangle _ _) _; apply: le_trans (ler_add (nrm_Wpre _ _ _) (nrm_Wpre _ _ _)) _.
rewrite -mulrDr -mulrA ler_wpmul2l ?nrm_ge0 // mulrDl addrC ler_add //.
  by rewrite mulrC ler_wpmul2l ?nrm_ge0.
by rewrite ler_wpmul2l ?nrm_ge0.
Qed.

Lemma disp_lin_bound x A B b r D : size_of D <= 1 ->
  nrm (disp x A B b r D - lin x A B r D) <=
  nrm (pid_mx r : 'M[F]_R) * (nrm x + (nrm B + nrm A + 1)) * size_of D ^+ 2.
Proof.
case: D => [[[Dx DA] DB] Db]; rewrite disp_lin; have [sx sA sB _] := size_of_ge Dx DA DB Db.
move: (size_of _) (size_of_ge0 (Dx, DA, DB, Db)) sx sA sB => S S0 sx sA sB S1.
have p0 := nrm_ge0 (pid_mx r : 'M[F]_R); move: (nrm (pid_mx r)) p0 (fun B A => nrm_Wpre B A r) => p p0 hW.
have hE3 : nrm (Wpre DB DA r) <= p * (S * S).
  by apply: le_trans (hW _ _) _; rewrite ler_wpmul2l // ler_pmul ?nrm_ge0.
apply: le_trans (nrm_triangle _ _) _; rewrite mulrDr mulrDl; apply: ler_add.
  by apply: le_trans (nrmM _ _) _; rewrite nrm_tr expr2 mulrAC [leRHS]mulrC ler_wpmul2l ?nrm_ge0.
apply: le_trans (nrmM _ _) _; rewrite nrm_tr expr2 mulrA [leRHS]mulrC ler_pmul ?nrm_ge0 //.
rewrite -mulrA !mulrDl mul1r !mulrDr.
apply: le_trans (nrm_triangle _ _) _; apply: ler_add; last first.
  by apply: le_trans hE3 _; rewrite ler_wpmul2l // ler_pimull.
apply: le_trans (nrm_triangle _ _) _; apply: ler_add; apply: le_trans (hW _ _) _; rewrite ler_wpmul2l //.
  by rewrite ler_wpmul2l ?nrm_ge0.
by rewrite mulrC ler_wpmul2l ?nrm_ge0.
Qed.

(* GRD-5. One rank, any differentiable loss of the outputs: if dy is its gradient there,
   nested_linear_backward gives the joint gradient in (x, A, B, b). *)
Theorem nested_linear_grad (ell : 'M[F]_(n, d_out) -> F) x A B b r dy :
  is_grad ell (nested_linear x A B b r) dy ->
  little_o size_of (fun D : change => let: (Dx, DA, DB, Db) := D in
    ell (nested_linear (x + Dx) (A + DA) (B + DB) (b + Db) r) - ell (nested_linear x A B b r)
    - (frob (nested_linear_dx A B r dy) Dx + frob (nested_linear_dA x B r dy) DA
       + frob (nested_linear_dB x A r dy) DB + frob (nested_linear_db dy) Db)).
Proof.
move=> h; apply: (@little_o_ext _ _ _ (fun D => ell (nested_linear x A B b r + disp x A B b r D)
    - ell (nested_linear x A B b r) - frob dy (lin x A B r D))) => [D|].
  have := lin_frob x A B b r dy D; case: D => [[[Dx DA] DB] Db] ->.
  by rewrite /disp (addrC (nested_linear x A B b r)) subrK.
apply: is_grad_chain h; [exact: size_of_ge0 | | | by move=> D _; exact: lin_bound | by move=> D; exact: disp_lin_bound].
  by rewrite !addr_ge0 ?mulr_ge0 ?addr_ge0 ?nrm_ge0.
by rewrite mulr_ge0 ?addr_ge0 ?nrm_ge0 ?ler01.
Qed.

Variables (K : finType) (rk : K -> nat).

(* GRD-4, GRD-5. Several ranks at once, any differentiable loss at each of them: the one
   pass of multirank_linear_backward gives the joint gradient in (x, A, B, b). *)
Theorem multirank_linear_grad (ell : K -> 'M[F]_(n, d_out) -> F) x A B b (dys : K -> 'M[F]_(n, d_out)) :
  (forall k, is_grad (ell k) (nested_linear x A B b (rk k)) (dys k)) ->
  little_o size_of (fun D : change => let: (Dx, DA, DB, Db) := D in
    \sum_k ell k (nested_linear (x + Dx) (A + DA) (B + DB) (b + Db) (rk k))
    - \sum_k ell k (nested_linear x A B b (rk k))
    - (frob (multirank_linear_dx rk A B dys) Dx + frob (multirank_linear_dA rk x B dys) DA
       + frob (multirank_linear_dB rk x A dys) DB + frob (multirank_linear_db dys) Db)).
Proof.
move=> h; apply: (little_o_ext _ (little_o_sum (index_enum K) size_of_ge0 (fun k => nested_linear_grad (h k)))).
case=> [[[Dx DA] DB] Db] /=; rewrite !sumrB; congr (_ - _ - _).
rewrite multirank_linear_dx_sum multirank_linear_dA_sum multirank_linear_dB_sum multirank_linear_db_sum.
by rewrite !frob_suml !big_split.
Qed.

End AnyLoss.
