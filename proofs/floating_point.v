From Coq Require Import Reals ZArith Lra Psatz List Lia Permutation.
From Flocq Require Import Core Relative Plus_error.
Import ListNotations.
Local Open Scope R_scope.

(******************************************************************************)
(* Rounding errors of sums of products in any order (FLT-1, FLT-2, FLT-6,     *)
(* FLT-7): an abstract model, then two formats, without underflow (Flocq's    *)
(* FLX) and with gradual underflow (FLT).                                     *)
(*                                                                            *)
(*            expr == a tree of roundings: products with a stored number,     *)
(*                    sums, fused multiply-adds                               *)
(*            ex e == the exact value                                         *)
(*            ab e == the magnitude: every number replaced by its absolute    *)
(*                    value                                                   *)
(*           dep e == the depth in roundings                                  *)
(*           unf e == the weight of the underflow terms                       *)
(*        fl rnd e == the computed value                                      *)
(*          wf P e == every stored number of e satisfies P                    *)
(*       gamma u n == n u / (1 - n u)             _gamma in certify/rounding  *)
(*       isdot e l == the tree e computes the dot product of the pairs l, in  *)
(*                    any order, with or without fused multiply-add           *)
(*       fldot rnd == the usual loop                                          *)
(******************************************************************************)

Inductive expr : Type :=
  | Inp (x : R)                       (* an exact (already stored) value *)
  | Mul (c : R) (e : expr)            (* rnd (c * e) *)
  | Add (e1 e2 : expr)                (* rnd (e1 + e2) *)
  | Fma (c : R) (e1 e2 : expr).       (* rnd (c * e1 + e2) *)

Fixpoint ex (e : expr) : R := match e with
  | Inp x => x | Mul c e => c * ex e | Add a b => ex a + ex b
  | Fma c a b => c * ex a + ex b end.
Fixpoint ab (e : expr) : R := match e with
  | Inp x => Rabs x | Mul c e => Rabs c * ab e | Add a b => ab a + ab b
  | Fma c a b => Rabs c * ab a + ab b end.
Fixpoint dep (e : expr) : nat := match e with
  | Inp _ => O | Mul _ e => S (dep e) | Add a b => S (max (dep a) (dep b))
  | Fma _ a b => S (max (dep a) (dep b)) end.
Fixpoint unf (e : expr) : R := match e with
  | Inp _ => 0 | Mul c e => Rabs c * unf e + 1 | Add a b => unf a + unf b
  | Fma c a b => Rabs c * unf a + unf b + 1 end.

Lemma ex_le_ab e : Rabs (ex e) <= ab e.
Proof.
induction e as [x|c e IH|a IHa b IHb|c a IHa b IHb]; simpl; try lra.
- rewrite Rabs_mult; apply Rmult_le_compat_l; [apply Rabs_pos|assumption].
- apply (Rle_trans _ _ _ (Rabs_triang _ _)); lra.
- apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult.
  generalize (Rmult_le_compat_l _ _ _ (Rabs_pos c) IHa); lra.
Qed.

Lemma ab_ge0 e : 0 <= ab e.
Proof. generalize (ex_le_ab e) (Rabs_pos (ex e)); lra. Qed.

Lemma unf_ge0 e : 0 <= unf e.
Proof.
induction e as [x|c e IH|a IHa b IHb|c a IHa b IHb]; simpl; try lra.
- generalize (Rmult_le_pos _ _ (Rabs_pos c) IH); lra.
- generalize (Rmult_le_pos _ _ (Rabs_pos c) IHa); lra.
Qed.

Section Model.
Variables (u eta : R) (rnd : R -> R) (fmt : R -> Prop).
Hypothesis u_ge0 : 0 <= u.
Hypothesis eta_ge0 : 0 <= eta.
Hypothesis rnd_fmt : forall x, fmt (rnd x).
Hypothesis rnd_err : forall x, Rabs (rnd x - x) <= u * Rabs x + eta.
Hypothesis add_err : forall x y, fmt x -> fmt y ->
  Rabs (rnd (x + y) - (x + y)) <= u * Rabs (x + y).

Fixpoint fl (e : expr) : R := match e with
  | Inp x => x | Mul c e => rnd (c * fl e) | Add a b => rnd (fl a + fl b)
  | Fma c a b => rnd (c * fl a + fl b) end.

Fixpoint wf (e : expr) : Prop := match e with
  | Inp x => fmt x | Mul _ e => wf e | Add a b => wf a /\ wf b
  | Fma _ a b => wf a /\ wf b end.

Lemma fl_fmt e : wf e -> fmt (fl e).
Proof. destruct e; simpl; auto. Qed.

Definition bound (d : nat) (e : expr) : R :=
  ((1 + u) ^ d - 1) * ab e + (1 + u) ^ d * eta * unf e.

Lemma pow1_ge1 d : 1 <= (1 + u) ^ d.
Proof. apply pow_R1_Rle; lra. Qed.

Lemma bound_mono d d' e : (d <= d')%nat -> bound d e <= bound d' e.
Proof.
intros H; unfold bound.
assert (P : (1 + u) ^ d <= (1 + u) ^ d') by (apply Rle_pow; [lra|assumption]).
generalize (ab_ge0 e) (Rmult_le_pos _ _ eta_ge0 (unf_ge0 e)); nra.
Qed.

(* One more rounding on top of an error. *)
Lemma round_step d x y a w :
  Rabs (x - y) <= ((1 + u) ^ d - 1) * a + (1 + u) ^ d * eta * w ->
  Rabs y <= a -> 0 <= w ->
  Rabs (rnd x - y) <= ((1 + u) ^ (S d) - 1) * a + (1 + u) ^ (S d) * eta * (w + 1).
Proof.
intros H1 H2 H3; assert (P := pow1_ge1 d).
replace (rnd x - y) with ((rnd x - x) + (x - y)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)).
assert (Hx : Rabs x <= Rabs y + Rabs (x - y)).
{ replace x with (y + (x - y)) at 1 by ring; apply Rabs_triang. }
assert (R1 := rnd_err x).
assert (M : u * Rabs x <= u * (a + Rabs (x - y))) by (apply Rmult_le_compat_l; lra).
assert (M2 : (1 + u) * Rabs (x - y) <=
  (1 + u) * (((1 + u) ^ d - 1) * a + (1 + u) ^ d * eta * w)) by (apply Rmult_le_compat_l; lra).
assert (Q : 0 <= ((1 + u) * (1 + u) ^ d - 1) * eta).
{ apply Rmult_le_pos; [nra|assumption]. }
simpl; nra.
Qed.

Lemma add_step d x y z a w : fmt x -> fmt y ->
  Rabs (x + y - z) <= ((1 + u) ^ d - 1) * a + (1 + u) ^ d * eta * w ->
  Rabs z <= a -> 0 <= w ->
  Rabs (rnd (x + y) - z) <= ((1 + u) ^ (S d) - 1) * a + (1 + u) ^ (S d) * eta * w.
Proof.
intros F1 F2 H1 H2 H3; assert (P := pow1_ge1 d).
replace (rnd (x + y) - z) with ((rnd (x + y) - (x + y)) + (x + y - z)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)).
assert (Hx : Rabs (x + y) <= Rabs z + Rabs (x + y - z)).
{ replace (x + y) with (z + (x + y - z)) at 1 by ring; apply Rabs_triang. }
assert (R1 := add_err x y F1 F2).
assert (M : u * Rabs (x + y) <= u * (a + Rabs (x + y - z))) by (apply Rmult_le_compat_l; lra).
assert (M2 : (1 + u) * Rabs (x + y - z) <=
  (1 + u) * (((1 + u) ^ d - 1) * a + (1 + u) ^ d * eta * w)) by (apply Rmult_le_compat_l; lra).
simpl; nra.
Qed.

(* FLT-1. The error of any expression tree is at most (1+u)^depth - 1 times its magnitude,
   plus a term for underflow. *)
Theorem forward_error e : wf e -> Rabs (fl e - ex e) <= bound (dep e) e.
Proof.
induction e as [x|c e IH|a IHa b IHb|c a IHa b IHb]; intros W.
- unfold bound; simpl; rewrite Rminus_eq_0, Rabs_R0; lra.
- apply (round_step (dep e) (c * fl e) (c * ex e) (Rabs c * ab e) (Rabs c * unf e)).
  + replace (c * fl e - c * ex e) with (c * (fl e - ex e)) by ring.
    rewrite Rabs_mult; generalize (Rmult_le_compat_l _ _ _ (Rabs_pos c) (IH W)).
    unfold bound; lra.
  + rewrite Rabs_mult; apply Rmult_le_compat_l; [apply Rabs_pos|apply ex_le_ab].
  + apply Rmult_le_pos; [apply Rabs_pos|apply unf_ge0].
- destruct W as [Wa Wb]; set (d := max (dep a) (dep b)).
  apply (add_step d (fl a) (fl b) (ex a + ex b) (ab a + ab b) (unf a + unf b));
    try now apply fl_fmt.
  + replace (fl a + fl b - (ex a + ex b)) with ((fl a - ex a) + (fl b - ex b)) by ring.
    apply (Rle_trans _ _ _ (Rabs_triang _ _)).
    generalize (Rle_trans _ _ _ (IHa Wa) (bound_mono _ d a (Nat.le_max_l _ _))).
    generalize (Rle_trans _ _ _ (IHb Wb) (bound_mono _ d b (Nat.le_max_r _ _))).
    unfold bound; lra.
  + apply (Rle_trans _ _ _ (Rabs_triang _ _)); generalize (ex_le_ab a) (ex_le_ab b); lra.
  + generalize (unf_ge0 a) (unf_ge0 b); lra.
- destruct W as [Wa Wb]; set (d := max (dep a) (dep b)).
  apply (round_step d (c * fl a + fl b) (c * ex a + ex b)
          (Rabs c * ab a + ab b) (Rabs c * unf a + unf b)).
  + replace (c * fl a + fl b - (c * ex a + ex b))
      with (c * (fl a - ex a) + (fl b - ex b)) by ring.
    apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult.
    generalize (Rle_trans _ _ _ (IHa Wa) (bound_mono _ d a (Nat.le_max_l _ _))).
    generalize (Rle_trans _ _ _ (IHb Wb) (bound_mono _ d b (Nat.le_max_r _ _))).
    intros Hb Ha; generalize (Rmult_le_compat_l _ _ _ (Rabs_pos c) Ha).
    unfold bound in *; lra.
  + apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult.
    generalize (Rmult_le_compat_l _ _ _ (Rabs_pos c) (ex_le_ab a)) (ex_le_ab b); lra.
  + generalize (Rmult_le_pos _ _ (Rabs_pos c) (unf_ge0 a)) (unf_ge0 b); lra.
Qed.

(* FLT-6. Every intermediate value is bounded: no overflow if this is below the largest number. *)
Theorem magnitude_bound e : wf e ->
  Rabs (fl e) <= (1 + u) ^ (dep e) * (ab e + eta * unf e).
Proof.
intros W; assert (H := forward_error e W); unfold bound in H.
assert (Rabs (fl e) <= Rabs (ex e) + Rabs (fl e - ex e)).
{ replace (fl e) with (ex e + (fl e - ex e)) at 1 by ring; apply Rabs_triang. }
generalize (ex_le_ab e); lra.
Qed.

End Model.

(* (1+u)^n - 1 <= gamma_n = n u / (1 - n u) *)
Definition gamma (u : R) (n : nat) : R := INR n * u / (1 - INR n * u).

Lemma pow_le_gamma u n : 0 <= u -> INR n * u < 1 -> (1 + u) ^ n - 1 <= gamma u n.
Proof.
intros Hu Hn.
assert (K : (1 + u) ^ n * (1 - INR n * u) <= 1).
{ clear Hn; induction n as [|n IH]; [simpl; lra|].
  rewrite S_INR; simpl.
  assert (P : 0 <= (1 + u) ^ n) by (apply pow_le; lra).
  assert (N := pos_INR n).
  apply (Rle_trans _ ((1 + u) ^ n * (1 - INR n * u))); [|exact IH].
  replace ((1 + u) * (1 + u) ^ n * (1 - (INR n + 1) * u))
     with ((1 + u) ^ n * ((1 + u) * (1 - (INR n + 1) * u))) by ring.
  apply Rmult_le_compat_l; [exact P|nra]. }
unfold gamma; apply (Rmult_le_reg_r (1 - INR n * u)); [lra|].
unfold Rdiv; rewrite Rmult_assoc, Rinv_l by lra; lra.
Qed.

(* The usual loop, one product after the other. *)
Definition seqdot (e0 : expr) (l : list (R * expr)) : expr :=
  fold_left (fun t p => Add t (Mul (fst p) (snd p))) l e0.

Definition dotE (l : list (R * expr)) : expr :=
  match l with [] => Inp 0 | p :: l' => seqdot (Mul (fst p) (snd p)) l' end.

Lemma dep_seqdot l : forall e0 k, (dep e0 <= k)%nat ->
  (forall p, In p l -> (dep (snd p) < k)%nat) ->
  (dep (seqdot e0 l) <= k + length l)%nat.
Proof.
induction l as [|p l IH]; intros e0 k H0 Hl; simpl; [lia|].
replace (k + S (length l))%nat with (S k + length l)%nat by lia.
apply IH.
- assert (Hp := Hl p (or_introl eq_refl)); simpl; lia.
- intros q Hq; assert (H := Hl q (or_intror Hq)); lia.
Qed.

Lemma dep_dotE l d : (forall p, In p l -> (dep (snd p) <= d)%nat) ->
  (dep (dotE l) <= d + length l)%nat.
Proof.
destruct l as [|p l]; intros H; simpl; [lia|].
replace (d + S (length l))%nat with (S d + length l)%nat by lia.
apply dep_seqdot; simpl.
- assert (Hp := H p (or_introl eq_refl)); lia.
- intros q Hq; assert (Hq' := H q (or_intror Hq)); lia.
Qed.

Definition sumR (l : list R) : R := fold_right Rplus 0 l.

Lemma ex_seqdot l : forall e0,
  ex (seqdot e0 l) = ex e0 + sumR (map (fun p => fst p * ex (snd p)) l).
Proof. induction l as [|p l IH]; intros e0; simpl; [ring|]; rewrite IH; simpl; ring. Qed.

Lemma ab_seqdot l : forall e0,
  ab (seqdot e0 l) = ab e0 + sumR (map (fun p => Rabs (fst p) * ab (snd p)) l).
Proof. induction l as [|p l IH]; intros e0; simpl; [ring|]; rewrite IH; simpl; ring. Qed.

Lemma unf_seqdot l : forall e0,
  unf (seqdot e0 l) = unf e0 + sumR (map (fun p => Rabs (fst p) * unf (snd p) + 1) l).
Proof. induction l as [|p l IH]; intros e0; simpl; [ring|]; rewrite IH; simpl; ring. Qed.

Lemma ex_dotE l : ex (dotE l) = sumR (map (fun p => fst p * ex (snd p)) l).
Proof. destruct l; simpl; [reflexivity|]; now rewrite ex_seqdot. Qed.

Lemma ab_dotE l : ab (dotE l) = sumR (map (fun p => Rabs (fst p) * ab (snd p)) l).
Proof. destruct l; simpl; [apply Rabs_R0|]; now rewrite ab_seqdot. Qed.

Lemma wf_seqdot fmt l : forall e0, wf fmt e0 ->
  (forall p, In p l -> wf fmt (snd p)) -> wf fmt (seqdot e0 l).
Proof.
induction l as [|p l IH]; intros e0 H0 Hl; simpl; [assumption|].
apply IH; [split; [assumption|apply Hl; now left]|intros q Hq; apply Hl; now right].
Qed.

(* FLT-7. The sequential loop at rank r+1 is the loop at rank r and one more step: the same bits. *)
Theorem prefix_bitwise rnd e0 l p :
  fl rnd (seqdot e0 (l ++ [p])) =
  rnd (fl rnd (seqdot e0 l) + rnd (fst p * fl rnd (snd p))).
Proof. unfold seqdot; rewrite fold_left_app; reflexivity. Qed.

(* The same as plain loops. *)
Fixpoint loop (rnd : R -> R) (acc : R) (l : list (R * R)) : R :=
  match l with [] => acc | p :: l' => loop rnd (rnd (acc + rnd (fst p * snd p))) l' end.
Definition fldot (rnd : R -> R) (l : list (R * R)) : R :=
  match l with [] => 0 | p :: l' => loop rnd (rnd (fst p * snd p)) l' end.
Definition dot (l : list (R * R)) : R := sumR (map (fun p => fst p * snd p) l).
Definition adot (l : list (R * R)) : R := sumR (map (fun p => Rabs (fst p) * Rabs (snd p)) l).

Definition inp (l : list (R * R)) : list (R * expr) := map (fun p => (fst p, Inp (snd p))) l.

Lemma loop_expr rnd l : forall e0, loop rnd (fl rnd e0) l = fl rnd (seqdot e0 (inp l)).
Proof. induction l as [|p l IH]; intros e0; simpl; [reflexivity|]; now rewrite <- IH. Qed.

Lemma fldot_expr rnd l : fldot rnd l = fl rnd (dotE (inp l)).
Proof. destruct l as [|p l]; simpl; [reflexivity|]; now rewrite <- loop_expr. Qed.

Lemma ex_inp l : ex (dotE (inp l)) = dot l.
Proof. unfold dot, inp; rewrite ex_dotE, map_map; reflexivity. Qed.

Lemma ab_inp l : ab (dotE (inp l)) = adot l.
Proof. unfold adot, inp; rewrite ab_dotE, map_map; reflexivity. Qed.

Lemma dep_inp l : (dep (dotE (inp l)) <= length l)%nat.
Proof.
apply (Nat.le_trans _ (0 + length (inp l))); [|unfold inp; rewrite map_length; lia].
apply dep_dotE; intros p Hp; unfold inp in Hp; apply in_map_iff in Hp.
destruct Hp as [q [<- _]]; simpl; lia.
Qed.

(* No underflow: an unbounded exponent. *)
Section FLX.
Variable beta : radix.
Variable prec : Z.
Hypothesis prec_gt0 : (0 < prec)%Z.
Variable choice : Z -> bool.
Let rnd := round beta (FLX_exp prec) (Znearest choice).
Let u := / 2 * bpow beta (- prec + 1).

Lemma u_ge0' : 0 <= u.
Proof. unfold u; generalize (bpow_ge_0 beta (- prec + 1)); lra. Qed.

(* FLT-1. In a format without underflow. *)
Theorem forward_error_FLX e : Rabs (fl rnd e - ex e) <= ((1 + u) ^ dep e - 1) * ab e.
Proof.
assert (W : wf (fun _ => True) e) by (induction e; simpl; tauto).
assert (H := forward_error u 0 rnd (fun _ => True) u_ge0' (Rle_refl 0) (fun _ => I)).
assert (E : forall x, Rabs (rnd x - x) <= u * Rabs x) by (intros x; apply relative_error_N_FLX; assumption).
specialize (H (fun x => Rle_trans _ _ _ (E x) (Req_le _ _ (eq_sym (Rplus_0_r _)))) (fun x y _ _ => E (x + y)) e W).
unfold bound in H; rewrite Rmult_0_r, Rmult_0_l, Rplus_0_r in H; exact H.
Qed.

Lemma expr_gamma_FLX e n : (dep e <= n)%nat -> INR n * u < 1 ->
  Rabs (fl rnd e - ex e) <= gamma u n * ab e.
Proof.
intros Hd Hn; apply (Rle_trans _ _ _ (forward_error_FLX e)).
apply Rmult_le_compat_r; [apply ab_ge0|].
apply (Rle_trans _ ((1 + u) ^ n - 1)); [|apply pow_le_gamma; [apply u_ge0'|exact Hn]].
generalize u_ge0'; intros U.
assert ((1 + u) ^ dep e <= (1 + u) ^ n) by (apply Rle_pow; [lra|assumption]); lra.
Qed.

(* FLT-1. The usual loop: |fl(x.y) - x.y| <= gamma_n |x|.|y|. *)
Theorem dot_error_FLX l : INR (length l) * u < 1 ->
  Rabs (fldot rnd l - dot l) <= gamma u (length l) * adot l.
Proof.
intros H; rewrite fldot_expr, <- ex_inp, <- ab_inp.
apply expr_gamma_FLX; [apply dep_inp|exact H].
Qed.

(* A nested layer, y = sum_k b_k (a_k . x), as the list of its pairs (b_k, products of a_k . x). *)
Definition prefix_fl (rows : list (R * list (R * R))) : R :=
  fldot rnd (map (fun p => (fst p, fldot rnd (snd p))) rows).
Definition prefix_ex (rows : list (R * list (R * R))) : R :=
  sumR (map (fun p => fst p * dot (snd p)) rows).
Definition prefix_ab (rows : list (R * list (R * R))) : R :=
  sumR (map (fun p => Rabs (fst p) * adot (snd p)) rows).

(* FLT-2. The two stages of a nested layer, h = A x and y = B h: gamma_(n + r). *)
Theorem prefix_layer_error_FLX rows n : (forall p, In p rows -> (length (snd p) <= n)%nat) ->
  INR (n + length rows) * u < 1 ->
  Rabs (prefix_fl rows - prefix_ex rows) <= gamma u (n + length rows) * prefix_ab rows.
Proof.
intros Hn Hu.
set (E := map (fun p : R * list (R * R) => (fst p, dotE (inp (snd p)))) rows).
assert (F : prefix_fl rows = fl rnd (dotE E)).
{ assert (G : forall l e0, loop rnd (fl rnd e0) (map (fun p : R * list (R * R) => (fst p, fldot rnd (snd p))) l)
     = fl rnd (seqdot e0 (map (fun p : R * list (R * R) => (fst p, dotE (inp (snd p)))) l))).
  { induction l as [|q l IH]; intros e0; simpl; [reflexivity|].
    rewrite fldot_expr, <- IH; reflexivity. }
  unfold prefix_fl, E; destruct rows as [|p rows']; simpl; [reflexivity|].
  rewrite <- G; simpl; now rewrite fldot_expr. }
assert (X : prefix_ex rows = ex (dotE E)).
{ unfold E; rewrite ex_dotE, map_map; unfold prefix_ex; f_equal; apply map_ext.
  intros p; simpl; now rewrite ex_inp. }
assert (Ab : prefix_ab rows = ab (dotE E)).
{ unfold E; rewrite ab_dotE, map_map; unfold prefix_ab; f_equal; apply map_ext.
  intros p; simpl; now rewrite ab_inp. }
rewrite F, X, Ab; apply expr_gamma_FLX; [|exact Hu].
replace (length rows) with (length E) by (unfold E; apply map_length).
apply dep_dotE; intros p Hp; unfold E in Hp; apply in_map_iff in Hp.
destruct Hp as [q [<- Hq]]; simpl.
apply (Nat.le_trans _ _ _ (dep_inp _)); now apply Hn.
Qed.

End FLX.

(* Gradual underflow. *)
Section FLT.
Variable beta : radix.
Variable emin prec : Z.
Context {Hprec : Prec_gt_0 prec}.
Variable choice : Z -> bool.
Let rnd := round beta (FLT_exp emin prec) (Znearest choice).
Let u := / 2 * bpow beta (- prec + 1).
Let eta := / 2 * bpow beta emin.

Lemma u_flt_ge0 : 0 <= u.
Proof. unfold u; generalize (bpow_ge_0 beta (- prec + 1)); lra. Qed.

Lemma eta_flt_ge0 : 0 <= eta.
Proof. unfold eta; generalize (bpow_ge_0 beta emin); lra. Qed.

Lemma u_over_1pu : u / (1 + u) <= u.
Proof.
assert (U := u_flt_ge0); apply (Rmult_le_reg_r (1 + u)); [lra|].
unfold Rdiv; rewrite Rmult_assoc, Rinv_l by lra; nra.
Qed.

Lemma flt_rnd_err x : Rabs (rnd x - x) <= u * Rabs x + eta.
Proof.
assert (Q := u_over_1pu).
destruct (relative_error_N_FLT'_ex beta emin prec Hprec choice x)
  as [eps [et [H1 [H2 [_ H4]]]]].
unfold rnd; rewrite H4; change (u_ro beta prec) with u in H1.
replace (x * (1 + eps) + et - x) with (eps * x + et) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_mult.
assert (Rabs eps * Rabs x <= u * Rabs x)
  by (apply Rmult_le_compat_r; [apply Rabs_pos|lra]).
unfold eta; lra.
Qed.

Lemma flt_add_err x y :
  generic_format beta (FLT_exp emin prec) x ->
  generic_format beta (FLT_exp emin prec) y ->
  Rabs (rnd (x + y) - (x + y)) <= u * Rabs (x + y).
Proof.
intros Fx Fy; assert (Q := u_over_1pu).
destruct (FLT_plus_error_N_ex beta emin prec choice x y Fx Fy) as [eps [H1 H2]].
unfold rnd; rewrite H2; change (u_ro beta prec) with u in H1.
replace ((x + y) * (1 + eps) - (x + y)) with (eps * (x + y)) by ring.
rewrite Rabs_mult; apply Rmult_le_compat_r; [apply Rabs_pos|lra].
Qed.

Lemma flt_fmt x : generic_format beta (FLT_exp emin prec) (rnd x).
Proof. apply generic_format_round; auto with typeclass_instances. Qed.

(* FLT-1. With gradual underflow. *)
Theorem forward_error_FLT e :
  wf (generic_format beta (FLT_exp emin prec)) e ->
  Rabs (fl rnd e - ex e) <=
  ((1 + u) ^ dep e - 1) * ab e + (1 + u) ^ dep e * eta * unf e.
Proof.
exact (forward_error u eta rnd _ u_flt_ge0 eta_flt_ge0 flt_fmt flt_rnd_err flt_add_err e).
Qed.

(* FLT-6. With gradual underflow. *)
Theorem magnitude_bound_FLT e :
  wf (generic_format beta (FLT_exp emin prec)) e ->
  Rabs (fl rnd e) <= (1 + u) ^ dep e * (ab e + eta * unf e).
Proof.
exact (magnitude_bound u eta rnd _ u_flt_ge0 eta_flt_ge0 flt_fmt flt_rnd_err flt_add_err e).
Qed.

End FLT.

(* FLT-1. float32: u = 2^-24. *)
Theorem dot_error_binary32 choice l : INR (length l) * bpow radix2 (-24) < 1 ->
  Rabs (fldot (round radix2 (FLX_exp 24) (Znearest choice)) l - dot l)
  <= gamma (bpow radix2 (-24)) (length l) * adot l.
Proof.
assert (E : / 2 * bpow radix2 (- (24) + 1) = bpow radix2 (-24)) by (simpl; lra).
intros H; rewrite <- E in *; now apply dot_error_FLX.
Qed.

(* Any order of summation, with or without fused multiply-add. *)

Inductive isdot : expr -> list (R * R) -> Prop :=
  | D_nil : isdot (Inp 0) []
  | D_mul x y : isdot (Mul x (Inp y)) [(x, y)]
  | D_add a b la lb : la <> [] -> lb <> [] -> isdot a la -> isdot b lb ->
      isdot (Add a b) (la ++ lb)
  | D_fma x y b lb : isdot b lb -> isdot (Fma x (Inp y) b) ((x, y) :: lb)
  | D_perm e l l' : Permutation l l' -> isdot e l -> isdot e l'.

Lemma sumR_app l1 l2 : sumR (l1 ++ l2) = sumR l1 + sumR l2.
Proof. induction l1 as [|x l IH]; simpl; [ring|]; unfold sumR in *; simpl; rewrite IH; ring. Qed.

Lemma sumR_perm l l' : Permutation l l' -> sumR l = sumR l'.
Proof. induction 1; simpl; unfold sumR in *; simpl; lra. Qed.

Lemma isdot_spec e l : isdot e l ->
  ex e = dot l /\ ab e = adot l /\ (dep e <= length l)%nat.
Proof.
induction 1 as [|x y|a b la lb na nb _ [IH1 [IH2 IH3]] _ [IH4 [IH5 IH6]]
               |x y b lb _ [IH1 [IH2 IH3]]|e l l' P _ [IH1 [IH2 IH3]]];
  unfold dot, adot in *; simpl.
- rewrite Rabs_R0; unfold sumR; simpl; auto.
- unfold sumR; simpl; repeat split; try ring; lia.
- rewrite !map_app, !sumR_app, app_length; repeat split; try lra.
  destruct la as [|p la]; [easy|]; destruct lb as [|q lb]; [easy|].
  simpl length in *; lia.
- unfold sumR in *; simpl; repeat split; try lra; lia.
- rewrite <- (Permutation_length P).
  rewrite <- (sumR_perm _ _ (Permutation_map (fun p => fst p * snd p) P)).
  rewrite <- (sumR_perm _ _ (Permutation_map (fun p => Rabs (fst p) * Rabs (snd p)) P)).
  auto.
Qed.

Section AnyOrder.
Variable beta : radix.
Variable prec : Z.
Hypothesis prec_gt0 : (0 < prec)%Z.
Variable choice : Z -> bool.
Let rnd := round beta (FLX_exp prec) (Znearest choice).
Let u := / 2 * bpow beta (- prec + 1).

(* FLT-1. Any order of summation, with or without fused multiply-add: gamma_n. *)
Theorem dot_error_any_order e l : isdot e l -> INR (length l) * u < 1 ->
  Rabs (fl rnd e - dot l) <= gamma u (length l) * adot l.
Proof.
intros H Hu; destruct (isdot_spec e l H) as [<- [<- Hd]].
now apply expr_gamma_FLX.
Qed.

(* FLT-1. Two kernels that compute the same dot product differ by at most 2 gamma_n |x|.|y|. *)
Theorem dot_error_two_orders e1 e2 l : isdot e1 l -> isdot e2 l ->
  INR (length l) * u < 1 ->
  Rabs (fl rnd e1 - fl rnd e2) <= 2 * gamma u (length l) * adot l.
Proof.
intros H1 H2 Hu.
generalize (dot_error_any_order _ _ H1 Hu) (dot_error_any_order _ _ H2 Hu); intros B1 B2.
replace (fl rnd e1 - fl rnd e2) with ((fl rnd e1 - dot l) + - (fl rnd e2 - dot l)) by ring.
apply (Rle_trans _ _ _ (Rabs_triang _ _)); rewrite Rabs_Ropp; lra.
Qed.

End AnyOrder.
